/* SPDX-License-Identifier: BSD-3-Clause */

#include <string.h>

#include "steer.h"

/* Finaliser of splitmix64. */
static uint64_t
mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static uint64_t
rank(unsigned int port, unsigned int bucket)
{
	return mix(((uint64_t)(port + 1) << 32) + bucket);
}

static uint8_t
best_port(uint64_t live, unsigned int ports, unsigned int bucket)
{
	uint8_t best = STEER_NONE;

	for (unsigned int port = 0; port < ports; port++) {
		if ((live >> port & 1) == 0)
			continue;
		if (best == STEER_NONE || rank(port, bucket) > rank(best, bucket))
			best = (uint8_t)port;
	}
	return best;
}

void
steer_init(struct steer *steer, unsigned int ports)
{
	memset(steer->bucket, STEER_NONE, sizeof(steer->bucket));
	steer->live = 0;
	steer->ports = ports;
	steer->generation = 0;
}

void
steer_set_live(struct steer *steer, unsigned int port, bool live)
{
	uint64_t bit = UINT64_C(1) << port;
	uint64_t now = live ? steer->live | bit : steer->live & ~bit;

	if (now == steer->live)
		return;
	__atomic_store_n(&steer->generation, steer->generation + 1, __ATOMIC_RELAXED);
	/* Pairs with the acquire fence of steer_adopt(): who has read one of these sees it odd. */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	__atomic_store_n(&steer->live, now, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < STEER_BUCKETS; i++)
		__atomic_store_n(&steer->bucket[i], best_port(now, steer->ports, i),
				__ATOMIC_RELAXED);
	/* Release: pairs with the acquire load of steer_adopt(), which then sees all of these. */
	__atomic_store_n(&steer->generation, steer->generation + 1, __ATOMIC_RELEASE);
}

bool
steer_adopt(struct steer *copy, const struct steer *steer)
{
	uint32_t generation = __atomic_load_n(&steer->generation, __ATOMIC_ACQUIRE);
	struct steer fresh;

	if (generation == copy->generation || generation % 2 != 0)
		return false;
	fresh.ports = copy->ports;
	fresh.generation = generation;
	fresh.live = __atomic_load_n(&steer->live, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < STEER_BUCKETS; i++)
		fresh.bucket[i] = __atomic_load_n(&steer->bucket[i], __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (__atomic_load_n(&steer->generation, __ATOMIC_RELAXED) != generation)
		return false;
	*copy = fresh;
	return true;
}

unsigned int
steer_share(const struct steer *steer, unsigned int port)
{
	unsigned int share = 0;

	for (unsigned int i = 0; i < STEER_BUCKETS; i++)
		share += steer_pick(steer, i) == port;
	return share;
}

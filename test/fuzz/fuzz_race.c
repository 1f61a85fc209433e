/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The real bursts, while another thread writes descriptors and indices into the same memory as fast
 * as it can. The input chooses the world, the peer's habits and the seeds. What is checked is what
 * holds in any case: see world_burst(); and that a burst ends.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "ring_world.h"

#define BURSTS 24
#define BURST_NS_MAX INT64_C(1000000000) /* of this thread's own time */

/* What the scribbling thread does; it owns the peer's side while `go` is set. */
static struct {
	atomic_bool go, busy;
	uint32_t seed;
	uint8_t indices; /* of 256 writes, so many to the index */
	uint8_t wild;	 /* of 256 indices, so many anywhere */
} peer;

static uint32_t
random32(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static void
fill(uint32_t *state, uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(random32(state) >> 8);
}

static void
write_something(uint32_t *state)
{
	struct mif_ring_end *end = world.end;
	uint8_t bytes[16];
	struct fuzz_input in = { bytes, sizeof(bytes) };
	uint32_t choice = random32(state);
	uint16_t cursor = __atomic_load_n(&end->cursor, __ATOMIC_RELAXED);
	uint16_t value = (uint16_t)(choice >> 16);

	fill(state, bytes, sizeof(bytes));
	if ((choice & 0xff) >= peer.indices) {
		end->desc[(cursor + value % 8) & end->mask] = world_read_desc(&in);
		return;
	}
	if ((choice >> 8 & 0xff) >= peer.wild)
		value = (uint16_t)(cursor + value % (end->size + 1));
	if (world.cfg.role == MIF_CLIENT && world.cfg.transmit)
		value = (uint16_t)(value - end->size);
	__atomic_store_n(world_peer_index(), value, __ATOMIC_RELEASE);
	__atomic_store_n(&end->ring->flags, choice >> 31, __ATOMIC_RELAXED);
}

/* The bursts are not told of this: two threads on the same memory are what is tried here. */
static void *
scribble(void *arg)
{
	uint32_t state;

	for (;;) {
		while (!atomic_load(&peer.go))
			usleep(20);
		atomic_store(&peer.busy, true);
		for (state = peer.seed; atomic_load(&peer.go);)
			write_something(&state);
		atomic_store(&peer.busy, false);
	}
	return arg;
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	pthread_t thread;

	(void)argc;
	(void)argv;
	world_init();
	FUZZ_CHECK(pthread_create(&thread, NULL, scribble, NULL) == 0, "no thread");
	return 0;
}

static int64_t
own_time(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static uint16_t
make_packets(struct rte_mbuf **mbufs, uint16_t count, uint32_t *state)
{
	uint8_t bytes[64];

	for (uint16_t i = 0; i < count; i++) {
		struct fuzz_input in = { bytes, sizeof(bytes) };

		fill(state, bytes, sizeof(bytes));
		mbufs[i] = world_packet(&in, 1 + (bytes[0] < 64 ? bytes[1] % 4 : 0));
		if (mbufs[i] == NULL)
			return i;
	}
	return count;
}

static void
one_burst(uint16_t count, uint32_t *state)
{
	struct rte_mbuf *mbufs[WORLD_BURST_MAX];
	int64_t start, took;
	uint16_t done;

	if (world.cfg.transmit)
		count = make_packets(mbufs, count, state);
	start = own_time();
	done = world_burst(mbufs, count);
	took = own_time() - start;
	FUZZ_CHECK(took < BURST_NS_MAX, "a burst took %lld ns", (long long)took);
	if (world.cfg.transmit)
		world_free(mbufs + done, (uint16_t)(count - done));
	else
		world_free(mbufs, done);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct world_cfg cfg = world_read_cfg(&in);
	uint32_t state = fuzz_u32(&in) | 1;

	world_start(&cfg);
	peer.seed = fuzz_u32(&in) | 1;
	peer.indices = fuzz_u8(&in);
	peer.wild = fuzz_u8(&in);
	atomic_store(&peer.go, true);
	while (!atomic_load(&peer.busy))
		usleep(20);
	for (int i = 0; i < BURSTS; i++)
		one_burst((uint16_t)(random32(&state) % (WORLD_BURST_MAX + 1)), &state);
	atomic_store(&peer.go, false);
	while (atomic_load(&peer.busy))
		usleep(20);
	return 0;
}

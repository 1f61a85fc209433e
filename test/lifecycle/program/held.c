/* SPDX-License-Identifier: BSD-3-Clause */

#include <string.h>

#include <rte_common.h>
#include <rte_mbuf.h>
#include <rte_spinlock.h>

#include "held.h"

#define HELD_MAX 4096

static struct rte_mbuf *held[HELD_MAX];
static unsigned int held_count;
static rte_spinlock_t lock = RTE_SPINLOCK_INITIALIZER;

void
held_add(struct rte_mbuf **mbufs, uint16_t count)
{
	unsigned int fit;

	rte_spinlock_lock(&lock);
	fit = RTE_MIN((unsigned int)count, HELD_MAX - held_count);
	memcpy(&held[held_count], mbufs, fit * sizeof(*mbufs));
	held_count += fit;
	rte_spinlock_unlock(&lock);
	rte_pktmbuf_free_bulk(&mbufs[fit], count - fit);
}

static void
add_packet(struct held_sum *sum, const struct rte_mbuf *mbuf)
{
	const uint8_t *data;

	sum->packets++;
	sum->external += RTE_MBUF_HAS_EXTBUF(mbuf) != 0;
	for (; mbuf != NULL; mbuf = mbuf->next) {
		data = rte_pktmbuf_mtod(mbuf, const uint8_t *);
		for (uint16_t i = 0; i < mbuf->data_len; i++)
			sum->sum = sum->sum * 31 + data[i];
		sum->bytes += mbuf->data_len;
	}
}

struct held_sum
held_look(void)
{
	struct held_sum sum = { 0 };

	rte_spinlock_lock(&lock);
	for (unsigned int i = 0; i < held_count; i++)
		add_packet(&sum, held[i]);
	rte_spinlock_unlock(&lock);
	return sum;
}

void
held_free(unsigned int count)
{
	rte_spinlock_lock(&lock);
	if (count == 0 || count > held_count)
		count = held_count;
	rte_pktmbuf_free_bulk(held, count);
	held_count -= count;
	memmove(held, &held[count], held_count * sizeof(held[0]));
	rte_spinlock_unlock(&lock);
}

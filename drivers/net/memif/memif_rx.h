/* SPDX-License-Identifier: BSD-3-Clause */

/** @file What the receive bursts have in common, whether they copy or not. */

#ifndef MEMIF_RX_H
#define MEMIF_RX_H

#include <stdint.h>
#include <string.h>
#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <rte_cycles.h>
#include <rte_mbuf.h>

#include "memif_burst.h"
#include "memif_process.h"
#include "memif_queue.h"
#include "memif_ring.h"

/** Descriptors that are looked at together. */
#define MIF_RX_CHUNK 32

/**
 * Make a received packet of an mbuf fresh from its pool. Its second line is not touched: next is
 * NULL in a pool, and tx_offload means nothing without its flags.
 */
static __rte_always_inline void
mif_rx_init_mbuf(const struct mif_queue *queue, struct rte_mbuf *mbuf, uint32_t length)
{
	/* packet_type and pkt_len; data_len, vlan_tci and hash.rss: one store instead of five. */
#if RTE_BYTE_ORDER == RTE_LITTLE_ENDIAN
	const uint64_t fields[2] = { (uint64_t)length << 32, (uint16_t)length };
#else
	const uint64_t fields[2] = { length, (uint64_t)length << 48 };
#endif

	memcpy(RTE_PTR_ADD(mbuf, offsetof(struct rte_mbuf, rearm_data)), &queue->rearm,
			sizeof(queue->rearm));
	memcpy(RTE_PTR_ADD(mbuf, offsetof(struct rte_mbuf, packet_type)), fields, sizeof(fields));
}

/** Slots of the packet at the cursor, 0 when its end is not there yet. */
static inline uint32_t
mif_rx_chain_length(const struct mif_ring_end *end, uint32_t ready)
{
	const struct mif_desc *desc;

	for (uint32_t i = 0; i < ready; i++) {
		desc = &end->desc[(end->cursor + i) & end->mask];
		if ((__atomic_load_n(&desc->flags, __ATOMIC_RELAXED) & MIF_DESC_NEXT) == 0)
			return i + 1;
	}
	return 0;
}

/**
 * Slots that the peer has handed over; an impossible index ends the connection.
 *
 * @param most  that it can have
 */
static __rte_always_inline uint32_t
mif_rx_ready(struct mif_queue *queue, const struct mif_ring_end *end, uint32_t most)
{
	uint32_t ready = mif_ring_span(end->cursor, mif_ring_peek(end->peer_index));

	if (likely(ready <= most))
		return ready;
	mif_count(&queue->counters.bad_index, 1);
	mif_queue_fault(end->common, MIF_FAULT_INDEX);
	return 0;
}

/** Of the slots that the peer has handed over, those that this burst may take; see memif_lag.h. */
static __rte_always_inline uint32_t
mif_rx_lag(struct mif_ring_end *end, uint32_t ready)
{
	return mif_lag_ready(&end->lag, ready, rte_rdtsc);
}

/** It was allowed to take some, and has taken so many packets. */
static __rte_always_inline void
mif_rx_lag_took(struct mif_ring_end *end, uint16_t packets)
{
	mif_lag_took(&end->lag, packets, rte_rdtsc);
}

/** Takes up to count packets from a ring; returns how many. */
typedef uint16_t (*mif_rx_ring_t)(struct mif_queue *queue, struct mif_ring_end *end,
		struct rte_mbuf **mbufs, uint16_t count, struct mif_burst_kind kind);

/** A receive burst: what all rings of its queue have, as far as count goes. */
static __rte_always_inline uint16_t
mif_rx_burst(struct mif_queue *queue, struct rte_mbuf **mbufs, uint16_t count,
		const mif_rx_ring_t receive, const struct mif_burst_kind kind)
{
	struct mif_ring_end *end;
	uint16_t done = 0;

	/* A secondary may poll before the primary has made queues. */
	if (kind.secondary && unlikely(queue == NULL))
		return 0;
	end = mif_process_enter(queue, kind.secondary);
	for (; end != NULL; end = end->next)
		done = (uint16_t)(done +
				receive(queue, end, &mbufs[done], (uint16_t)(count - done), kind));
	mif_gate_leave(&queue->gate);
	return done;
}

#endif /* MEMIF_RX_H */

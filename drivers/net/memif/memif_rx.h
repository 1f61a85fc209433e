/* SPDX-License-Identifier: BSD-3-Clause */

/** @file What the receive bursts have in common, whether they copy or not. */

#ifndef MEMIF_RX_H
#define MEMIF_RX_H

#include <stdint.h>
#include <string.h>
#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <rte_mbuf.h>

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
	memcpy(RTE_PTR_ADD(mbuf, offsetof(struct rte_mbuf, rearm_data)), &queue->rearm,
			sizeof(queue->rearm));
	mbuf->packet_type = 0;
	mbuf->pkt_len = length;
	mbuf->data_len = (uint16_t)length;
	mbuf->vlan_tci = 0;
	mbuf->hash.rss = 0;
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

#endif /* MEMIF_RX_H */

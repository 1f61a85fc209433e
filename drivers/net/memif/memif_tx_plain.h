/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * Sending by copying, many packets at a time: all of a port that copies, and the short ones of a
 * zero-copy client.
 */

#ifndef MEMIF_TX_PLAIN_H
#define MEMIF_TX_PLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include "memif_copy.h"
#include "memif_desc.h"
#include "memif_ip.h"
#include "memif_pack.h"
#include "memif_queue.h"
#include "memif_tx.h"

/** Packets that are to be copied, and where to. */
struct mif_tx_chunk {
	struct mif_desc descs[MIF_TX_CHUNK];
	uint8_t *places[MIF_TX_CHUNK];
	uint8_t l2[MIF_TX_CHUNK]; /**< mode=ip: bytes at the front of each that are not sent */
	struct mif_pack pack;	  /**< client: behind them */
	uint64_t bytes;
};

/**
 * A place for the next packet of a chunk, the i-th one, of so many bytes.
 *
 * @param room  receives the bytes that there are
 * @return false if the client has posted none
 */
static __rte_always_inline bool
mif_tx_find_place(struct mif_tx_chunk *chunk, uint32_t i, const struct mif_ring_end *end,
		struct mif_pack *pack, uint32_t length, uint32_t *room, const enum mif_role role)
{
	struct mif_desc desc;
	bool ok = true;
	uint32_t place;

	if (role == MIF_CLIENT) {
		place = mif_pack_place(pack);
		mif_pack_put(pack, place, length);
		desc = mif_own_place(end, place);
		chunk->places[i] = end->base + desc.offset;
	} else {
		desc = mif_desc_read(&end->desc[(end->cursor + i) & end->mask]);
		ok = mif_desc_ok(end->common->regions, end->common->region_count, desc);
		chunk->places[i] = ok ? mif_desc_data(end->common->regions, desc) : NULL;
	}
	mif_desc_write(&chunk->descs[i], desc);
	*room = desc.length;
	return ok;
}

/** The area of a client's memory for count packets; see memif_pack.h. */
static __rte_always_inline struct mif_pack *
mif_tx_area(struct mif_ring_end *end, struct rte_mbuf *const *mbufs, uint32_t count)
{
	uint32_t longest = 0;

	if (likely(!end->alternates))
		return &end->pack[0];
	for (uint32_t i = 0; i < count; i++)
		longest = RTE_MAX(longest, (uint32_t)mbufs[i]->data_len);
	return &end->pack[mif_pack_area(end->stride, RTE_MIN(longest, end->stride))];
}

/**
 * Find places for count packets.
 *
 * @param area       client: see mif_tx_area()
 * @param prefetchw  see struct mif_ring_end
 * @return false if they do not all have one segment that fits into a slot, or a slot is unsound
 */
static __rte_always_inline bool
mif_tx_find_places(struct mif_tx_chunk *chunk, const struct mif_ring_end *end,
		const struct mif_pack *area, struct rte_mbuf *const *mbufs, uint32_t count,
		const enum mif_role role, const enum mif_mode mode, const bool prefetchw)
{
	/* In registers meanwhile. */
	struct mif_pack pack = *area;
	uint64_t bytes = 0;
	bool plain = true;
	uint32_t skipped, room;

	for (uint32_t i = 0; i < count; i++) {
		const struct rte_mbuf *mbuf = mbufs[i];

		plain &= mif_tx_find_place(chunk, i, end, &pack, mbuf->data_len, &room, role);
		skipped = mif_l2_of_segment(mbuf, mode);
		if (mode == MIF_MODE_IP) {
			chunk->l2[i] = (uint8_t)skipped;
			plain &= skipped != 0;
		}
		plain &= (mbuf->nb_segs == 1) & (mbuf->data_len != 0) &
				(mbuf->data_len - skipped <= room);
		bytes += mbuf->data_len;
		if (prefetchw)
			mif_prefetch_first(chunk->places[i], true);
	}
	chunk->pack = pack;
	chunk->bytes = bytes;
	return plain;
}

/** Copy count packets to their places, and fill the slots. */
static __rte_always_inline void
mif_tx_fill_places(struct mif_tx_chunk *chunk, const struct mif_ring_end *end,
		struct rte_mbuf *const *mbufs, uint32_t count, const enum mif_mode mode)
{
	const uint32_t ahead = mif_prefetch_distance(chunk->bytes, count, end->prefetchw);
	uint8_t *const *places = chunk->places;
	/* A copy of bytes may change anything, as compilers see it. */
	struct mif_desc *const slots = end->desc;
	const uint32_t first = end->cursor;
	const uint32_t mask = end->mask;
	struct mif_desc desc;
	uint32_t skipped;

	for (uint32_t i = 0; i < RTE_MIN(ahead, count); i++)
		mif_prefetch_rest(places[i], mbufs[i]->data_len, true);
	for (uint32_t i = 0; i < count; i++) {
		if (ahead != 0 && i + ahead < count)
			mif_prefetch_rest(places[i + ahead], mbufs[i + ahead]->data_len, true);
		skipped = mode == MIF_MODE_IP ? chunk->l2[i] : 0;
		desc = chunk->descs[i];
		desc.flags = 0;
		desc.length = mbufs[i]->data_len - skipped;
		mif_copy(places[i], rte_pktmbuf_mtod_offset(mbufs[i], const uint8_t *, skipped),
				desc.length);
		mif_desc_write(&slots[(first + i) & mask], desc);
	}
}

/**
 * Copy count packets of one segment, each fitting into one slot, into so many slots that are free.
 * The packets are still the caller's.
 *
 * @return false if they are not all such packets, or a slot is unsound; nothing has happened then
 */
static __rte_always_inline bool
mif_tx_put_plain(struct mif_queue *queue, struct mif_ring_end *end, struct rte_mbuf *const *mbufs,
		uint32_t count, const enum mif_role role, const enum mif_mode mode)
{
	struct mif_pack *area = role == MIF_CLIENT ? mif_tx_area(end, mbufs, count) : end->pack;
	struct mif_tx_chunk chunk;
	bool plain;

	if (!mif_tx_fetches_ahead(end, role))
		mif_tx_prefetch_slots(end, count, true);
	plain = end->prefetchw ?
			mif_tx_find_places(&chunk, end, area, mbufs, count, role, mode, true) :
			mif_tx_find_places(&chunk, end, area, mbufs, count, role, mode, false);
	if (unlikely(!plain))
		return false;
	mif_tx_fill_places(&chunk, end, mbufs, count, mode);
	if (role == MIF_CLIENT)
		*area = chunk.pack;
	mif_ring_end_advance(end, count);
	mif_count(&queue->counters.packets, count);
	mif_count(&queue->counters.bytes, chunk.bytes);
	return true;
}

/**
 * Free packets that are copied. For plain ones of one pool, the usual case, the second line of the
 * mbufs is not touched. One function for all bursts of a file, as it is large on a plain x86 CPU:
 * DPDK's copying of pointers is.
 */
static __rte_noinline void
mif_tx_free(struct rte_mbuf **mbufs, uint16_t count)
{
	struct rte_mempool *pool;
	bool plain = true;

	if (count == 0)
		return;
	pool = mbufs[0]->pool;
	for (uint16_t i = 0; i < count; i++)
		plain &= (mbufs[i]->pool == pool) & (mbufs[i]->nb_segs == 1) &
				(rte_mbuf_refcnt_read(mbufs[i]) == 1) & RTE_MBUF_DIRECT(mbufs[i]);
	if (likely(plain))
		rte_mempool_put_bulk(pool, (void *const *)mbufs, count);
	else
		rte_pktmbuf_free_bulk(mbufs, count);
}

#endif /* MEMIF_TX_PLAIN_H */

/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * The end of a ring of a client that does not copy: which mbuf is in which slot. Every mbuf here is
 * in one slot only, so it goes back to its pool exactly once: when the server has given up its slot,
 * or when the connection has ended.
 *
 * Several processes may use it, one at a time. If one is killed in a burst, the primary gives back
 * what stands between the indices. So these move when an mbuf is in its slot, and before one leaves
 * the ring: mbufs may be lost with a process, but none goes back twice.
 */

#ifndef MEMIF_ZC_RING_H
#define MEMIF_ZC_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include "memif_copy.h"
#include "memif_queue.h"
#include "memif_ring.h"
#include "memif_tx.h"
#include "memif_zc_memory.h"

/** Mbufs that are got from a pool together. */
#define MIF_ZC_BATCH 32

/** What a ring end has in addition. */
struct mif_zc_ring {
	const struct mif_zc_map *map;
	struct rte_mbuf **mbufs; /**< by slot */
	union {
		struct rte_mempool **
				pools; /**< transmit, by slot: of its mbuf; NULL: the ring's own buffer */
		bool *copied; /**< receive, by slot: the ring's own buffer is posted for its mbuf */
	};
	uint32_t room;	      /**< receive: bytes of a packet that fit into an mbuf */
	uint32_t copied_room; /**< receive: and into the ring's buffer */
	uint32_t kept; /**< transmit: slots with mbufs; more, when a process was killed in a burst */
	uint16_t head; /**< receive: next slot to post, free-running */
};

/**
 * Equip a client's ring end.
 *
 * @param socket  NUMA node
 * @return 0 or -ENOMEM
 */
int mif_zc_ring_make(struct mif_ring_end *end, const struct mif_zc_map *map, int socket);

/** All mbufs go back to their pools; no burst is inside. Harmless when there is nothing. */
void mif_zc_ring_free(struct mif_ring_end *end, enum mif_dir dir);

/** Before its gate opens: post what the queue's pool has, and publish it. */
void mif_zc_ring_start(struct mif_queue *queue, struct mif_ring_end *end, enum mif_mode mode);

/**
 * Free the mbufs of packets that the server has taken.
 *
 * @param count  of packets at most, 0 for all
 * @return how many there were of which mbufs were kept
 */
int mif_zc_done_cleanup(struct mif_queue *queue, uint32_t count);

/** What is written before it is there before what is written after it, for who is killed between. */
static inline void
mif_zc_order(void)
{
	atomic_signal_fence(memory_order_seq_cst);
}

/**
 * Note that a kept mbuf is not the first one of its packet. The ring does not say so: servers
 * change the flags of what they take. What is kept has data, and nobody asks for its length any
 * more.
 */
static inline void
mif_zc_mark_further(struct rte_mbuf *mbuf)
{
	mbuf->data_len = 0;
}

static inline bool
mif_zc_is_further(const struct rte_mbuf *mbuf)
{
	return mbuf->data_len == 0;
}

/** Receive: a posted mbuf goes back; it may have been made a segment of a packet meanwhile. */
static inline void
mif_zc_give_back(struct rte_mbuf *mbuf)
{
	mbuf->next = NULL;
	mbuf->nb_segs = 1;
	rte_mempool_put(mbuf->pool, mbuf);
}

/** Slots with mbufs that the server may fill. */
static __rte_always_inline uint32_t
mif_zc_posted(const struct mif_ring_end *end)
{
	return mif_ring_span(end->cursor, end->zc->head);
}

/** Where the server writes in an mbuf: behind what receive puts in front. */
static __rte_always_inline uint8_t *
mif_zc_place(const struct rte_mbuf *mbuf, const enum mif_mode mode)
{
	return RTE_PTR_ADD(mbuf->buf_addr, RTE_PKTMBUF_HEADROOM + mif_l2_added(mode));
}

/* Offer the mbuf of a slot, or the ring's buffer in its place, to be copied from. */
static __rte_always_inline void
mif_zc_offer(struct mif_ring_end *end, uint32_t slot, const enum mif_mode mode)
{
	struct mif_zc_ring *zc = end->zc;
	const uint8_t *data = mif_zc_place(zc->mbufs[slot], mode);
	struct mif_desc desc;

	zc->copied[slot] = !mif_zc_find(zc->map, end->common->regions, data, zc->room, &desc);
	if (unlikely(zc->copied[slot])) {
		desc = mif_own_buffer(end, slot);
		desc.length = zc->copied_room;
	}
	mif_desc_write(&end->desc[slot], desc);
}

/**
 * Post empty mbufs in all slots that have none; as far as the pool has some.
 *
 * @return false if it did not have enough
 */
static __rte_always_inline bool
mif_zc_post(struct mif_queue *queue, struct mif_ring_end *end, const enum mif_mode mode)
{
	uint32_t missing = end->size - mif_zc_posted(end);
	struct mif_zc_ring *zc = end->zc;
	uint32_t batch = MIF_ZC_BATCH;
	uint32_t first, count;

	while (missing != 0) {
		first = zc->head & end->mask;
		count = RTE_MIN(batch, missing);
		count = RTE_MIN(count, end->size - first);
		if (unlikely(rte_mempool_get_bulk(queue->pool, (void **)&zc->mbufs[first], count) !=
				    0)) {
			if (count == 1)
				return false;
			batch = count / 2;
			continue;
		}
		for (uint32_t slot = first; slot < first + count; slot++)
			mif_zc_offer(end, slot, mode);
		mif_zc_order();
		zc->head = (uint16_t)(zc->head + count);
		missing -= count;
	}
	return true;
}

/** Transmit: slots from limit on that the server has given up, never more than are out. */
static __rte_always_inline uint32_t
mif_zc_done(struct mif_queue *queue, struct mif_ring_end *end)
{
	uint32_t done = mif_ring_span(end->limit, mif_ring_peek(end->peer_index));

	if (likely(done <= mif_ring_span(end->limit, end->cursor)))
		return done;
	mif_tx_bad_index(queue, end);
	return 0;
}

/**
 * Mbufs go back to their pool, which hands out first what came last: so the application fills them
 * next, but the server, who has read their first lines, still has these.
 */
static __rte_always_inline void
mif_zc_prefetch_data(struct rte_mempool *pool, struct rte_mbuf *const *mbufs, uint32_t count)
{
	/* Where data is going to begin; the mbufs themselves are not looked at. */
	const size_t data = sizeof(struct rte_mbuf) + rte_pktmbuf_priv_size(pool) +
			RTE_PKTMBUF_HEADROOM;

	for (uint32_t i = 0; i < count; i++)
		mif_prefetch_first(RTE_PTR_ADD(mbufs[i], data), true);
}

/**
 * Transmit: give back the mbufs of so many slots from limit on, which the server has given up.
 * Mbufs in flight are as a pool has them: alone, direct, with one reference.
 */
static __rte_always_inline void
mif_zc_reclaim(struct mif_ring_end *end, uint32_t slots)
{
	struct mif_zc_ring *zc = end->zc;
	struct rte_mempool *pool;
	uint32_t first, run, most;

	if (zc->kept == 0) {
		end->limit = (uint16_t)(end->limit + slots);
		return;
	}
	while (slots != 0) {
		first = end->limit & end->mask;
		most = RTE_MIN(slots, end->size - first);
		for (run = 1; run < most && zc->pools[first + run] == zc->pools[first]; run++)
			;
		pool = zc->pools[first];
		end->limit = (uint16_t)(end->limit + run);
		mif_zc_order();
		if (likely(pool != NULL)) {
			zc->kept -= run;
			mif_zc_prefetch_data(pool, &zc->mbufs[first], run);
			rte_mempool_put_bulk(pool, (void **)&zc->mbufs[first], run);
		}
		slots -= run;
	}
}

#endif /* MEMIF_ZC_RING_H */

/* SPDX-License-Identifier: BSD-3-Clause */

/** @file What the transmit bursts have in common, whether they copy or not. */

#ifndef MEMIF_TX_H
#define MEMIF_TX_H

#include <stdint.h>
#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <rte_mbuf.h>

#include "memif_burst.h"
#include "memif_copy.h"
#include "memif_desc.h"
#include "memif_process.h"
#include "memif_queue.h"
#include "memif_ring.h"

/** Packets that are looked at together. */
#define MIF_TX_CHUNK 32

/** The peer's index stands where it cannot: use nothing of it, and have the connection ended. */
static inline void
mif_tx_bad_index(struct mif_queue *queue, struct mif_ring_end *end)
{
	mif_count(&queue->counters.bad_index, 1);
	mif_queue_fault(end->common, MIF_FAULT_INDEX);
}

/** Bytes of a packet, not trusting pkt_len: the segments are what is copied. */
static inline uint64_t
mif_tx_length(const struct rte_mbuf *mbuf)
{
	uint64_t length = 0;

	for (; mbuf != NULL; mbuf = mbuf->next)
		length += mbuf->data_len;
	return length;
}

/**
 * Have the descriptors of so many slots, from the cursor on, on their way.
 *
 * @param write  take them from the peer at once, as they are going to be written
 */
static __rte_always_inline void
mif_tx_prefetch_slots(const struct mif_ring_end *end, uint32_t count, const bool write)
{
	const uint32_t line = MIF_LINE_SIZE / sizeof(struct mif_desc);
	const uint32_t first = end->cursor & ~(line - 1);
	const uint32_t slots = end->cursor - first + count;

	for (uint32_t i = 0; i < slots; i += line)
		mif_prefetch_first((const uint8_t *)&end->desc[(first + i) & end->mask], write);
}

/**
 * Does a server fetch the descriptors of a burst at the end of the one before? They are posted long
 * before that, and it reads them before it writes them.
 */
static __rte_always_inline bool
mif_tx_fetches_ahead(const struct mif_ring_end *end, const enum mif_role role)
{
	return role == MIF_SERVER && !end->prefetchw;
}

/** The same for the next burst, as far as it is known to be posted: likely as long as this one. */
static __rte_always_inline void
mif_tx_prefetch_next(const struct mif_ring_end *end, uint32_t count)
{
	const uint32_t posted = mif_ring_span(end->cursor, end->limit);

	count = RTE_MIN(count, (uint32_t)MIF_TX_CHUNK);
	mif_tx_prefetch_slots(end, RTE_MIN(count, posted), false);
}

/**
 * Copy so many bytes into slots that hold them; their descriptors are in picked, or are those of a
 * client's own buffers.
 *
 * @param mbuf    segment, with what is behind it
 * @param skipped bytes from its start on that are not copied
 * @param left    bytes to copy, at least one
 * @param more  MIF_DESC_NEXT if the packet goes on behind these bytes, else 0
 */
static inline void
mif_tx_copy(struct mif_ring_end *end, const struct rte_mbuf *mbuf, uint32_t skipped, uint64_t left,
		uint16_t more, const enum mif_role role)
{
	struct mif_desc desc;
	uint32_t slot, part, used, in_segment;
	uint32_t place = 0;
	const uint8_t *from;
	uint8_t *to;

	for (; skipped > mbuf->data_len; mbuf = mbuf->next)
		skipped -= mbuf->data_len;
	from = rte_pktmbuf_mtod_offset(mbuf, const uint8_t *, skipped);
	in_segment = mbuf->data_len - skipped;
	for (uint32_t i = 0; left != 0; i++) {
		slot = end->cursor & end->mask;
		if (role == MIF_CLIENT)
			place = mif_pack_place(&end->pack[0]);
		desc = role == MIF_CLIENT ? mif_own_place(end, place) : end->picked[i];
		to = mif_desc_data(end->common->regions, desc);
		for (used = 0; used < desc.length && left != 0; used += part) {
			while (in_segment == 0) {
				mbuf = mbuf->next;
				from = rte_pktmbuf_mtod(mbuf, const uint8_t *);
				in_segment = mbuf->data_len;
			}
			part = RTE_MIN(desc.length - used, in_segment);
			mif_copy(to + used, from, part);
			from += part;
			in_segment -= part;
			left -= part;
		}
		if (role == MIF_CLIENT)
			mif_pack_put(&end->pack[0], place, used);
		desc.length = used;
		desc.flags = left != 0 ? MIF_DESC_NEXT : more;
		mif_desc_write(&end->desc[slot], desc);
		mif_ring_end_advance(end, 1);
	}
}

/** Slots that a client needs to copy so many bytes; more than free when they do not suffice. */
static inline uint32_t
mif_tx_own_slots(const struct mif_ring_end *end, uint64_t length, uint32_t free)
{
	uint64_t room = 0;
	uint32_t slots = 0;

	while (room < length && slots <= free) {
		room += end->buffer_size;
		slots++;
	}
	return slots;
}

/**
 * Let the peer see what has been put into the ring. mif_tx_wake() must follow, best with work that
 * is to be done anyway in between: it has to wait until all that was written has reached the cache,
 * and lines that the peer has take their time.
 */
static __rte_always_inline void
mif_tx_publish(struct mif_ring_end *end)
{
	mif_ring_publish(end->own_index, end->cursor);
}

/** Packets have been published: wake the peer if it sleeps. */
static __rte_always_inline void
mif_tx_wake(struct mif_queue *queue, struct mif_ring_end *end)
{
	if (unlikely(mif_ring_wants_event(end->ring)) && mif_queue_wake(end) == 0)
		mif_count(&queue->counters.events, 1);
}

/** What the thread has sent to last; compared only, as it may be gone. */
extern __thread const void *mif_tx_thread;

/** The thread is about to send to a client's ring. */
static __rte_always_inline void
mif_tx_note_ring(struct mif_ring_end *end)
{
	end->alternates = mif_tx_thread != end;
	mif_tx_thread = end;
}

/** Puts up to count packets into a ring; returns how many are done with, sent or dropped. */
typedef uint16_t (*mif_tx_ring_t)(struct mif_queue *queue, struct mif_ring_end *end,
		struct rte_mbuf **mbufs, uint16_t count, struct mif_burst_kind kind);

/** A transmit burst, into the ring of its queue. */
static __rte_always_inline uint16_t
mif_tx_burst(struct mif_queue *queue, struct rte_mbuf **mbufs, uint16_t count,
		const mif_tx_ring_t transmit, const struct mif_burst_kind kind)
{
	struct mif_ring_end *end;
	uint16_t done = 0;

	/* A secondary may send before the primary has made queues. */
	if (kind.secondary && unlikely(queue == NULL))
		return 0;
	end = mif_process_enter(queue, kind.secondary);
	if (likely(end != NULL)) {
		if (likely(!end->shared) || mif_queue_take_ring(end)) {
			if (kind.role == MIF_CLIENT)
				mif_tx_note_ring(end);
			done = transmit(queue, end, mbufs, count, kind);
		}
		if (unlikely(end->shared))
			mif_lock_give(&end->lock);
	}
	mif_gate_leave(&queue->gate);
	return done;
}

#endif /* MEMIF_TX_H */

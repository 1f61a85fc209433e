/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Transmit of a zero-copy client: segments go out as they are, where the server can reach them and
 * nobody else uses them; others are copied into the ring's buffers.
 */

#include <errno.h>
#include <ethdev_driver.h>
#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <rte_mbuf.h>

#include "memif_burst.h"
#include "memif_desc.h"
#include "memif_ethdev.h"
#include "memif_queue.h"
#include "memif_ring.h"
#include "memif_tx.h"
#include "memif_zc_ring.h"

/* Slots that can be filled. Mbufs come back when fewer are free than the application wants. */
static __rte_always_inline uint32_t
free_slots(struct mif_queue *queue, struct mif_ring_end *end, uint32_t wanted)
{
	uint32_t free = end->size - mif_ring_span(end->limit, end->cursor);

	if (free < RTE_MAX(wanted, queue->free_thresh)) {
		mif_zc_reclaim(end, mif_zc_done(queue, end));
		free = end->size - mif_ring_span(end->limit, end->cursor);
	}
	return free;
}

/* Is the segment nobody else's, in one piece with its mbuf? */
static __rte_always_inline bool
is_own(const struct rte_mbuf *mbuf)
{
	return (rte_mbuf_refcnt_read(mbuf) == 1) & RTE_MBUF_DIRECT(mbuf);
}

/* The descriptor of a segment that can go out as it is. */
static __rte_always_inline bool
describe(const struct mif_ring_end *end, const struct rte_mbuf *mbuf, struct mif_desc *desc)
{
	bool found = mif_zc_find(end->zc->map, end->common->regions,
			rte_pktmbuf_mtod(mbuf, const uint8_t *), mbuf->data_len, desc);

	return found & is_own(mbuf) & (mbuf->data_len <= end->buffer_size);
}

/* Fill a slot with a segment, and keep its mbuf. */
static __rte_always_inline void
keep(struct mif_ring_end *end, uint32_t slot, struct rte_mbuf *mbuf, struct mif_desc desc)
{
	mif_desc_write(&end->desc[slot], desc);
	end->zc->mbufs[slot] = mbuf;
	end->zc->pools[slot] = mbuf->pool;
}

/*
 * The usual case: count packets of one segment that go out as they are. Else false, and nothing has
 * happened.
 */
static __rte_always_inline bool
put_plain(struct mif_queue *queue, struct mif_ring_end *end, struct rte_mbuf **mbufs,
		uint32_t count)
{
	struct mif_desc descs[MIF_TX_CHUNK];
	uint64_t bytes = 0;
	bool plain = true;

	for (uint32_t i = 0; i < count; i++)
		plain &= describe(end, mbufs[i], &descs[i]) & (mbufs[i]->nb_segs == 1) &
				(mbufs[i]->data_len != 0);
	if (unlikely(!plain))
		return false;
	for (uint32_t i = 0; i < count; i++) {
		keep(end, (end->cursor + i) & end->mask, mbufs[i], descs[i]);
		bytes += descs[i].length;
	}
	mif_ring_end_advance(end, count);
	mif_count(&queue->counters.packets, count);
	mif_count(&queue->counters.bytes, bytes);
	return true;
}

/* Slots that a packet takes, segment by segment; more than most when those do not suffice. */
static uint32_t
slots_of(const struct mif_ring_end *end, const struct rte_mbuf *mbuf, uint32_t most)
{
	uint32_t slots = 0;

	for (; mbuf != NULL && slots <= most; mbuf = mbuf->next)
		slots += mif_tx_own_slots(end, mbuf->data_len, most);
	return slots;
}

static void
count_copied(struct mif_queue *queue, const struct mif_ring_end *end, const struct rte_mbuf *mbuf,
		bool packed)
{
	struct mif_counters *counters = &queue->counters;

	if (!is_own(mbuf))
		mif_count(&counters->copied_shared, 1);
	else if (packed || mbuf->data_len > end->buffer_size)
		mif_count(&counters->copied_unfit, 1);
	else
		mif_count(&counters->copied_unexposed, 1);
}

/* Copy bytes from the start of a segment on into the ring's buffers. */
static void
copy(struct mif_ring_end *end, const struct rte_mbuf *mbuf, uint64_t length, uint16_t more)
{
	uint16_t first = end->cursor;

	mif_tx_copy(end, mbuf, 0, length, more, MIF_CLIENT);
	for (; first != end->cursor; first++)
		end->zc->pools[first & end->mask] = NULL;
}

/* The packet has more segments than the ring has slots: as few slots as possible. */
static void
put_packed(struct mif_queue *queue, struct mif_ring_end *end, struct rte_mbuf *mbuf,
		uint64_t length)
{
	copy(end, mbuf, length, 0);
	for (const struct rte_mbuf *segment = mbuf; segment != NULL; segment = segment->next) {
		if (segment->data_len != 0)
			count_copied(queue, end, segment, true);
	}
	rte_pktmbuf_free(mbuf);
}

/* Segment by segment; the chain is taken apart, as each comes back by itself. */
static void
put_segments(struct mif_queue *queue, struct mif_ring_end *end, struct rte_mbuf *mbuf,
		uint64_t left)
{
	struct rte_mbuf *next;
	struct mif_desc desc;
	uint16_t more;

	for (; mbuf != NULL; mbuf = next) {
		next = mbuf->next;
		left -= mbuf->data_len;
		more = left != 0 ? MIF_DESC_NEXT : 0;
		if (mbuf->data_len != 0 && describe(end, mbuf, &desc)) {
			mbuf->next = NULL;
			mbuf->nb_segs = 1;
			desc.flags = more;
			keep(end, end->cursor & end->mask, mbuf, desc);
			mif_ring_end_advance(end, 1);
			continue;
		}
		if (mbuf->data_len != 0) {
			count_copied(queue, end, mbuf, false);
			copy(end, mbuf, mbuf->data_len, more);
		}
		rte_pktmbuf_free_seg(mbuf);
	}
}

/* Put one packet of any kind, all of it or nothing; false if it has to wait. */
static bool
put_any(struct mif_queue *queue, struct mif_ring_end *end, struct rte_mbuf *mbuf)
{
	uint64_t length = mif_tx_length(mbuf);
	uint32_t slots, free;
	bool packed;

	if (length == 0 || length > MIF_PACKET_MAX || length > end->capacity) {
		mif_count(length == 0 ? &queue->counters.empty : &queue->counters.too_long, 1);
		rte_pktmbuf_free(mbuf);
		return true;
	}
	slots = slots_of(end, mbuf, end->size);
	packed = slots > end->size;
	if (packed)
		slots = mif_tx_own_slots(end, length, end->size);
	free = free_slots(queue, end, slots);
	if (slots > free)
		return false;
	mif_count(&queue->counters.packets, 1);
	mif_count(&queue->counters.bytes, length);
	if (packed)
		put_packed(queue, end, mbuf, length);
	else
		put_segments(queue, end, mbuf, length);
	return true;
}

/* Put up to count packets of any kind; returns how many are done with, sent or dropped. */
static __rte_noinline uint32_t
put_mixed(struct mif_queue *queue, struct mif_ring_end *end, struct rte_mbuf **mbufs,
		uint32_t count)
{
	uint32_t done = 0;

	while (done < count && put_any(queue, end, mbufs[done]))
		done++;
	return done;
}

static __rte_always_inline uint16_t
transmit(struct mif_queue *queue, struct mif_ring_end *end, struct rte_mbuf **mbufs, uint16_t count)
{
	const uint16_t before = end->cursor;
	uint32_t done = 0;
	uint32_t part, mixed;

	while (done < count) {
		part = RTE_MIN((uint32_t)(count - done), (uint32_t)MIF_TX_CHUNK);
		part = RTE_MIN(part, free_slots(queue, end, part));
		if (part != 0 && likely(put_plain(queue, end, &mbufs[done], part))) {
			done += part;
			continue;
		}
		mixed = put_mixed(queue, end, &mbufs[done], RTE_MAX(part, 1u));
		done += mixed;
		if (mixed < RTE_MAX(part, 1u))
			break;
	}
	mif_count(&queue->counters.ring_full, done < count);
	if (end->cursor != before)
		mif_tx_publish(queue, end);
	return (uint16_t)done;
}

static uint16_t
tx_client(void *tx_queue, struct rte_mbuf **mbufs, uint16_t count)
{
	struct mif_queue *queue = tx_queue;
	struct mif_ring_end *end = mif_gate_enter(&queue->gate);
	uint16_t done = 0;

	if (likely(end != NULL)) {
		if (unlikely(end->shared))
			rte_spinlock_lock(&end->lock);
		done = transmit(queue, end, mbufs, count);
		if (unlikely(end->shared))
			rte_spinlock_unlock(&end->lock);
	}
	mif_gate_leave(&queue->gate);
	return done;
}

const struct mif_tx_bursts MIF_BURST_NAME(zc_tx, MIF_VARIANT) = {
	.burst = { [MIF_MODE_ETHERNET] = { [MIF_CLIENT] = tx_client } },
};

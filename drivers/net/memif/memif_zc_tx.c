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
#include "memif_ip.h"
#include "memif_queue.h"
#include "memif_ring.h"
#include "memif_tx.h"
#include "memif_tx_plain.h"
#include "memif_zc_ring.h"

/*
 * Take back what the server has given up. A call for a burst costs nothing, while DPDK's copying of
 * pointers for a plain x86 CPU, in each place that needs free slots, makes this file twice as large.
 */
static __rte_noinline void
take_back(struct mif_queue *queue, struct mif_ring_end *end)
{
	mif_zc_reclaim(end, mif_zc_done(queue, end));
}

/* Slots that can be filled; the server is asked, and mbufs come back, if fewer are known than wanted. */
static __rte_always_inline uint32_t
free_slots(struct mif_queue *queue, struct mif_ring_end *end, uint32_t wanted)
{
	uint32_t free = end->size - mif_ring_span(end->limit, end->cursor);

	if (free < wanted) {
		take_back(queue, end);
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

/* The descriptor of a segment, less so many bytes of its front, that can go out as it is. */
static __rte_always_inline bool
describe(const struct mif_ring_end *end, const struct rte_mbuf *mbuf, uint32_t skipped,
		struct mif_desc *desc)
{
	uint32_t length = mbuf->data_len - skipped;
	bool found = mif_zc_find(end->zc->map, end->common->regions,
			rte_pktmbuf_mtod_offset(mbuf, const uint8_t *, skipped), length, desc);

	return found & is_own(mbuf) & (length <= end->buffer_size);
}

/* Where segments are kept. Bursts look that up once, as a written slot may change all, for compilers. */
struct keeper {
	struct mif_desc *slots;
	struct rte_mbuf **mbufs;
	struct rte_mempool **pools;
	uint32_t first;
	uint32_t mask;
};

static __rte_always_inline struct keeper
keeper_of(const struct mif_ring_end *end)
{
	return (struct keeper){
		.slots = end->desc,
		.mbufs = end->zc->mbufs,
		.pools = end->zc->pools,
		.first = end->cursor,
		.mask = end->mask,
	};
}

/* Fill the i-th slot from the cursor on with a segment, and keep its mbuf; the caller counts it. */
static __rte_always_inline void
keep(const struct keeper *keeper, uint32_t i, struct rte_mbuf *mbuf, struct mif_desc desc)
{
	const uint32_t slot = (keeper->first + i) & keeper->mask;

	mif_desc_write(&keeper->slots[slot], desc);
	keeper->mbufs[slot] = mbuf;
	keeper->pools[slot] = mbuf->pool;
}

/*
 * The usual case: count packets of one segment that go out as they are. Else false, and nothing has
 * happened.
 */
static __rte_always_inline bool
put_plain(struct mif_queue *queue, struct mif_ring_end *end, struct rte_mbuf **mbufs,
		uint32_t count, const enum mif_mode mode)
{
	const struct keeper keeper = keeper_of(end);
	struct mif_desc descs[MIF_TX_CHUNK];
	uint64_t bytes = 0;
	bool plain = true;
	uint32_t l2;

	mif_tx_prefetch_slots(end, count, true);
	for (uint32_t i = 0; i < count; i++) {
		l2 = mif_l2_of_segment(mbufs[i], mode);
		plain &= describe(end, mbufs[i], l2, &descs[i]) & (mbufs[i]->nb_segs == 1) &
				(mbufs[i]->data_len != 0);
		if (mode == MIF_MODE_IP)
			plain &= l2 != 0;
		bytes += l2;
	}
	if (unlikely(!plain))
		return false;
	for (uint32_t i = 0; i < count; i++) {
		keep(&keeper, i, mbufs[i], descs[i]);
		bytes += descs[i].length;
	}
	end->zc->kept += count;
	mif_zc_order();
	mif_ring_end_advance(end, count);
	mif_count(&queue->counters.packets, count);
	mif_count(&queue->counters.bytes, bytes);
	mif_tx_publish(end);
	return true;
}

/* Are they packets of one segment, and so short that copying costs less? */
static __rte_always_inline bool
are_short(const struct mif_queue *queue, struct rte_mbuf *const *mbufs, uint32_t count)
{
	bool are = true;

	for (uint32_t i = 0; i < count; i++)
		are &= (mbufs[i]->nb_segs == 1) & (mbufs[i]->data_len <= queue->copybreak);
	return are;
}

/* So many slots are not going to have mbufs. */
static __rte_always_inline void
keep_none(struct mif_ring_end *end, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		end->zc->pools[(end->cursor + i) & end->mask] = NULL;
	mif_zc_order();
}

/*
 * Count packets of one segment are copied. Else false, and nothing has happened. A call for a burst
 * costs nothing, while in each transmit function it would make this file slow to build.
 */
static __rte_noinline bool
put_short(struct mif_queue *queue, struct mif_ring_end *end, struct rte_mbuf **mbufs,
		uint32_t count, enum mif_mode mode)
{
	bool plain;

	keep_none(end, count);
	plain = mode == MIF_MODE_IP ?
			mif_tx_put_plain(queue, end, mbufs, count, MIF_CLIENT, MIF_MODE_IP) :
			mif_tx_put_plain(queue, end, mbufs, count, MIF_CLIENT, MIF_MODE_ETHERNET);
	if (unlikely(!plain))
		return false;
	mif_tx_publish(end);
	mif_tx_free(mbufs, (uint16_t)count);
	mif_count(&queue->counters.copied_short, count);
	return true;
}

/* Put count packets of one segment in one of these ways. Else false, and nothing has happened. */
static __rte_always_inline bool
put_whole(struct mif_queue *queue, struct mif_ring_end *end, struct rte_mbuf **mbufs,
		uint32_t count, const enum mif_mode mode)
{
	if (are_short(queue, mbufs, count) && put_short(queue, end, mbufs, count, mode))
		return true;
	return put_plain(queue, end, mbufs, count, mode);
}

/* Of the bytes at a packet's front that are not sent, those in this segment; they are taken off. */
static inline uint32_t
skip_in(const struct rte_mbuf *mbuf, uint32_t *skipped)
{
	uint32_t part = RTE_MIN(*skipped, (uint32_t)mbuf->data_len);

	*skipped -= part;
	return part;
}

/* Slots that a packet takes, segment by segment; more than most when those do not suffice. */
static uint32_t
slots_of(const struct mif_ring_end *end, const struct rte_mbuf *mbuf, uint32_t skipped,
		uint32_t most)
{
	uint32_t slots = 0;

	for (; mbuf != NULL && slots <= most; mbuf = mbuf->next)
		slots += mif_tx_own_slots(end, mbuf->data_len - skip_in(mbuf, &skipped), most);
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

/* Copy bytes, from so many behind the start of a segment on, into the ring's buffers. */
static void
copy(struct mif_ring_end *end, const struct rte_mbuf *mbuf, uint32_t skipped, uint64_t length,
		uint16_t more)
{
	keep_none(end, mif_tx_own_slots(end, length, end->size));
	mif_tx_copy(end, mbuf, skipped, length, more, MIF_CLIENT);
}

/* The packet has more segments than the ring has slots: as few slots as possible. */
static void
put_packed(struct mif_queue *queue, struct mif_ring_end *end, struct rte_mbuf *mbuf,
		uint32_t skipped, uint64_t length)
{
	copy(end, mbuf, skipped, length, 0);
	for (const struct rte_mbuf *segment = mbuf; segment != NULL; segment = segment->next) {
		if (segment->data_len != skip_in(segment, &skipped))
			count_copied(queue, end, segment, true);
	}
	rte_pktmbuf_free(mbuf);
}

/* Segment by segment; the chain is taken apart, as each comes back by itself. */
static void
put_segments(struct mif_queue *queue, struct mif_ring_end *end, struct rte_mbuf *mbuf,
		uint32_t skipped, uint64_t left)
{
	struct keeper keeper;
	struct rte_mbuf *next;
	struct mif_desc desc;
	uint32_t front, length;
	bool first = true;
	uint16_t more;

	for (; mbuf != NULL; mbuf = next) {
		next = mbuf->next;
		front = skip_in(mbuf, &skipped);
		length = mbuf->data_len - front;
		left -= length;
		more = left != 0 ? MIF_DESC_NEXT : 0;
		if (length != 0 && describe(end, mbuf, front, &desc)) {
			mbuf->next = NULL;
			mbuf->nb_segs = 1;
			desc.flags = more;
			keeper = keeper_of(end);
			keep(&keeper, 0, mbuf, desc);
			end->zc->kept++;
			if (!first)
				mif_zc_mark_further(mbuf);
			first = false;
			mif_zc_order();
			mif_ring_end_advance(end, 1);
			continue;
		}
		if (length != 0) {
			count_copied(queue, end, mbuf, false);
			copy(end, mbuf, front, length, more);
		}
		rte_pktmbuf_free_seg(mbuf);
	}
}

/* What counts a packet that can never be sent; NULL for others. */
static __rte_always_inline uint64_t *
why_dropped(struct mif_queue *queue, const struct mif_ring_end *end, uint64_t length,
		uint32_t skipped, const enum mif_mode mode)
{
	if (length == 0)
		return &queue->counters.empty;
	if (length > MIF_PACKET_MAX)
		return &queue->counters.too_long;
	if (mode == MIF_MODE_IP && skipped == 0)
		return &queue->counters.not_ip;
	return length - skipped > end->capacity ? &queue->counters.too_long : NULL;
}

/*
 * Put one packet of any kind, all of it or nothing; false if it has to wait. Into a ring that was
 * full it is not put even if a slot has come free since: how it goes is for the burst to decide.
 */
static __rte_always_inline bool
put_any(struct mif_queue *queue, struct mif_ring_end *end, struct rte_mbuf *mbuf, bool full,
		const enum mif_mode mode)
{
	const uint32_t skipped = mode == MIF_MODE_IP ? mif_l2_length_of(mbuf) : 0;
	uint64_t length = mif_tx_length(mbuf);
	uint64_t *dropped = why_dropped(queue, end, length, skipped, mode);
	uint32_t slots, free;
	bool packed;

	if (dropped != NULL) {
		mif_count(dropped, 1);
		rte_pktmbuf_free(mbuf);
		return true;
	}
	if (full)
		return false;
	length -= skipped;
	slots = slots_of(end, mbuf, skipped, end->size);
	packed = slots > end->size;
	if (packed)
		slots = mif_tx_own_slots(end, length, end->size);
	free = free_slots(queue, end, slots);
	if (slots > free)
		return false;
	mif_count(&queue->counters.packets, 1);
	mif_count(&queue->counters.bytes, skipped + length);
	if (packed)
		put_packed(queue, end, mbuf, skipped, length);
	else
		put_segments(queue, end, mbuf, skipped, length);
	return true;
}

/*
 * Put up to count packets of any kind; returns how many are done with, sent or dropped. No slot is
 * free if count is 0: then the first one is dropped if it can never be sent.
 */
static __rte_always_inline uint32_t
put_each(struct mif_queue *queue, struct mif_ring_end *end, struct rte_mbuf **mbufs, uint32_t count,
		const enum mif_mode mode)
{
	uint32_t done = 0;

	while (done < RTE_MAX(count, 1u) && put_any(queue, end, mbufs[done], count == 0, mode))
		done++;
	return done;
}

/* The mode is a constant in the inlined bodies, so it is tested once for all packets. */
static __rte_noinline uint32_t
put_mixed(struct mif_queue *queue, struct mif_ring_end *end, struct rte_mbuf **mbufs,
		uint32_t count, enum mif_mode mode)
{
	return mode == MIF_MODE_IP ? put_each(queue, end, mbufs, count, MIF_MODE_IP) :
				     put_each(queue, end, mbufs, count, MIF_MODE_ETHERNET);
}

static __rte_always_inline uint16_t
transmit(struct mif_queue *queue, struct mif_ring_end *end, struct rte_mbuf **mbufs, uint16_t count,
		const struct mif_burst_kind kind)
{
	const enum mif_mode mode = kind.mode;
	const uint16_t before = end->cursor;
	uint32_t done = 0;
	uint32_t part, mixed;

	while (done < count) {
		part = RTE_MIN((uint32_t)(count - done), (uint32_t)MIF_TX_CHUNK);
		part = RTE_MIN(part, free_slots(queue, end, part));
		if (part != 0 && likely(put_whole(queue, end, &mbufs[done], part, mode))) {
			done += part;
			continue;
		}
		mixed = put_mixed(queue, end, &mbufs[done], part, mode);
		if (mixed != 0)
			mif_tx_publish(end);
		done += mixed;
		if (mixed < RTE_MAX(part, 1u))
			break;
	}
	/* It does not rest (memif_rest.h): so many mbufs would come back at once that the cache of
	 * their pool could not hold them, and the next ones would be cold. */
	if (done < count)
		mif_count(&queue->counters.ring_full, 1);
	/* At the end: while what was written goes to the cache. And applications send nothing to get
	 * mbufs back. */
	if (end->zc->kept != 0)
		free_slots(queue, end, queue->free_thresh);
	if (end->cursor != before)
		mif_tx_wake(queue, end);
	return (uint16_t)done;
}

static uint16_t
tx_client(void *queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return mif_tx_burst(queue, mbufs, count, transmit,
			(struct mif_burst_kind){ MIF_CLIENT, MIF_MODE_ETHERNET, false });
}

static uint16_t
tx_client_ip(void *queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return mif_tx_burst(queue, mbufs, count, transmit,
			(struct mif_burst_kind){ MIF_CLIENT, MIF_MODE_IP, false });
}

static uint16_t
tx_client_secondary(void *queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return mif_tx_burst(queue, mbufs, count, transmit,
			(struct mif_burst_kind){ MIF_CLIENT, MIF_MODE_ETHERNET, true });
}

static uint16_t
tx_client_ip_secondary(void *queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return mif_tx_burst(queue, mbufs, count, transmit,
			(struct mif_burst_kind){ MIF_CLIENT, MIF_MODE_IP, true });
}

const struct mif_tx_bursts MIF_BURST_NAME(zc_tx, MIF_VARIANT) = {
	.burst = { [MIF_MODE_ETHERNET] = { [MIF_CLIENT] = tx_client },
			[MIF_MODE_IP] = { [MIF_CLIENT] = tx_client_ip } },
	.secondary = { [MIF_MODE_ETHERNET] = { [MIF_CLIENT] = tx_client_secondary },
			[MIF_MODE_IP] = { [MIF_CLIENT] = tx_client_ip_secondary } },
};

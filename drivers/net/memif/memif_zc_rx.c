/* SPDX-License-Identifier: BSD-3-Clause */

/* Receive of a zero-copy client: the server has filled mbufs that were posted. */

#include <errno.h>
#include <ethdev_driver.h>
#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <rte_mbuf.h>
#include <rte_prefetch.h>

#include "memif_burst.h"
#include "memif_copy.h"
#include "memif_desc.h"
#include "memif_ethdev.h"
#include "memif_ip.h"
#include "memif_queue.h"
#include "memif_ring.h"
#include "memif_rx.h"
#include "memif_zc_ring.h"

/* Bytes that the server may have put into a slot. */
static __rte_always_inline uint32_t
slot_room(const struct mif_zc_ring *zc, uint32_t slot)
{
	return zc->copied[slot] ? zc->copied_room : zc->room;
}

/* The ring's own buffer of a slot. */
static __rte_always_inline uint8_t *
own_buffer(const struct mif_ring_end *end, uint32_t slot)
{
	return end->buffers + (size_t)slot * end->stride;
}

/* The server has filled the ring's buffer: what is in it belongs into the mbuf. */
static inline void
fetch(const struct mif_ring_end *end, uint32_t slot, uint32_t length, const enum mif_mode mode)
{
	mif_copy(mif_zc_place(end->zc->mbufs[slot], mode), own_buffer(end, slot), length);
}

/* mode=ip: the first byte that the server has written into a slot, read once. */
static __rte_always_inline uint8_t
first_byte(const struct mif_ring_end *end, uint32_t slot)
{
	const uint8_t *at = unlikely(end->zc->copied[slot]) ?
			own_buffer(end, slot) :
			mif_zc_place(end->zc->mbufs[slot], MIF_MODE_IP);

	return __atomic_load_n(at, __ATOMIC_RELAXED);
}

/* mode=ip: the first bytes of slots from the cursor on; false if one of them is not of IP. */
static __rte_always_inline bool
read_first_bytes(uint8_t *first, const struct mif_ring_end *end, uint32_t count)
{
	bool ip = true;

	for (uint32_t i = 0; i < count; i++)
		rte_prefetch0(mif_zc_place(end->zc->mbufs[(end->cursor + i) & end->mask],
				MIF_MODE_IP));
	for (uint32_t i = 0; i < count; i++) {
		first[i] = first_byte(end, (end->cursor + i) & end->mask);
		ip &= mif_is_ip(first[i]);
	}
	return ip;
}

/* mode=ip: write the header of a packet that begins in this slot; false if it is not IP. */
static bool
put_l2(const struct mif_queue *queue, const struct mif_ring_end *end, uint32_t slot)
{
	uint8_t first = first_byte(end, slot);

	if (!mif_is_ip(first))
		return false;
	mif_l2_write(rte_pktmbuf_mtod(end->zc->mbufs[slot], uint8_t *), &queue->l2, first);
	return true;
}

/* The usual case: count sound descriptors, each a whole packet. Else false, and nothing has
 * happened. */
static __rte_always_inline bool
take_plain(struct mif_queue *queue, struct mif_ring_end *end, struct rte_mbuf **mbufs,
		uint32_t count, const enum mif_mode mode)
{
	const struct mif_zc_ring *zc = end->zc;
	struct rte_mbuf *const *const posted = zc->mbufs;
	uint32_t lengths[MIF_RX_CHUNK];
	uint8_t first[MIF_RX_CHUNK];
	uint32_t copied = 0;
	uint64_t bytes = 0;
	bool plain = true;
	uint32_t slot;

	for (uint32_t i = 0; i < count; i++) {
		struct mif_desc desc;

		slot = (end->cursor + i) & end->mask;
		desc = mif_desc_read(&end->desc[slot]);
		mbufs[i] = posted[slot];
		rte_prefetch0(posted[slot]);
		lengths[i] = desc.length;
		plain &= ((desc.flags & MIF_DESC_NEXT) == 0) &
				mif_desc_length_ok(desc.length, slot_room(zc, slot));
		copied += zc->copied[slot];
	}
	if (mode == MIF_MODE_IP && plain)
		plain = read_first_bytes(first, end, count);
	if (unlikely(!plain))
		return false;
	for (uint32_t i = 0; i < count; i++) {
		struct rte_mbuf *mbuf = mbufs[i];

		mif_rx_init_mbuf(queue, mbuf, mif_l2_added(mode) + lengths[i]);
		if (mode == MIF_MODE_IP)
			mif_l2_write(rte_pktmbuf_mtod(mbuf, uint8_t *), &queue->l2, first[i]);
		bytes += mif_l2_added(mode) + lengths[i];
	}
	for (uint32_t i = 0; copied != 0 && i < count; i++) {
		slot = (end->cursor + i) & end->mask;
		if (zc->copied[slot])
			fetch(end, slot, lengths[i], mode);
	}
	mif_ring_end_advance(end, count);
	mif_count(&queue->counters.packets, count);
	mif_count(&queue->counters.bytes, bytes);
	mif_count(&queue->counters.copied, copied);
	return true;
}

/* Add the next segment to a packet: as it is, or without scatter by copying it to the others. */
static int
append(const struct mif_queue *queue, struct rte_mbuf *head, struct rte_mbuf **last,
		struct rte_mbuf *mbuf)
{
	if (queue->scatter) {
		(*last)->next = mbuf;
		*last = mbuf;
		head->nb_segs++;
		return 0;
	}
	if (head->data_len + mbuf->data_len > queue->room)
		return -EMSGSIZE;
	mif_copy(rte_pktmbuf_mtod_offset(head, uint8_t *, head->data_len),
			rte_pktmbuf_mtod(mbuf, const uint8_t *), mbuf->data_len);
	head->data_len = (uint16_t)(head->data_len + mbuf->data_len);
	return 0;
}

/* Mbufs of slots that the cursor has passed, as they are or made segments of a packet, go back. */
static void
drop(const struct mif_ring_end *end, uint16_t first)
{
	for (; first != end->cursor; first++)
		mif_zc_give_back(end->zc->mbufs[first & end->mask]);
}

/*
 * Make the mbuf of a slot a segment of so many bytes; the first one of a packet with what stands in
 * front of it.
 */
static __rte_always_inline int
make_segment(struct mif_queue *queue, const struct mif_ring_end *end, uint32_t slot,
		uint32_t length, bool first, const enum mif_mode mode)
{
	struct rte_mbuf *mbuf = end->zc->mbufs[slot];
	const uint32_t l2 = mif_l2_added(mode);

	mif_rx_init_mbuf(queue, mbuf, length + (first ? l2 : 0));
	if (!first)
		mbuf->data_off = (uint16_t)(mbuf->data_off + l2);
	if (end->zc->copied[slot])
		fetch(end, slot, length, mode);
	if (mode == MIF_MODE_IP && first && !put_l2(queue, end, slot))
		return -EPROTONOSUPPORT;
	return 0;
}

/*
 * Make a packet of so many slots. The chain's length is what mif_rx_chain_length() saw; from here
 * on flags do not count, so it does not matter if the server changes them.
 */
static __rte_always_inline int
join(struct mif_queue *queue, struct mif_ring_end *end, uint32_t slots, const enum mif_mode mode,
		struct rte_mbuf **packet)
{
	struct rte_mbuf *head = end->zc->mbufs[end->cursor & end->mask];
	struct rte_mbuf *last = head;
	struct rte_mbuf *mbuf;
	uint64_t length = mif_l2_added(mode);
	struct mif_desc desc;
	uint32_t slot;
	int ret = 0;

	for (uint32_t i = 0; i < slots && ret == 0; i++) {
		slot = (end->cursor + i) & end->mask;
		desc = mif_desc_read(&end->desc[slot]);
		mbuf = end->zc->mbufs[slot];
		if (!mif_desc_length_ok(desc.length, slot_room(end->zc, slot))) {
			ret = -EINVAL;
			break;
		}
		length += desc.length;
		ret = make_segment(queue, end, slot, desc.length, i == 0, mode);
		mif_count(&queue->counters.copied,
				end->zc->copied[slot] | (!queue->scatter & (i != 0)));
		if (length > MIF_PACKET_MAX)
			ret = -EMSGSIZE;
		else if (ret == 0 && i != 0)
			ret = append(queue, head, &last, mbuf);
	}
	if (ret != 0)
		return ret;
	head->pkt_len = (uint32_t)length;
	*packet = head;
	return 0;
}

/*
 * Take one packet of any kind.
 *
 * Returns the slots it took, 0 if it has to wait; *packet is NULL if it was dropped.
 */
static __rte_always_inline uint32_t
take_any(struct mif_queue *queue, struct mif_ring_end *end, uint32_t ready,
		struct rte_mbuf **packet, const enum mif_mode mode)
{
	uint32_t slots = mif_rx_chain_length(end, ready);
	uint16_t first = end->cursor;
	int ret;

	*packet = NULL;
	if (slots == 0) {
		if (ready == end->size)
			mif_queue_fault(end->common, MIF_FAULT_CHAIN);
		return 0;
	}
	ret = join(queue, end, slots, mode, packet);
	mif_ring_end_advance(end, slots);
	mif_zc_order();
	if (ret != 0)
		drop(end, first);
	else if (!queue->scatter)
		drop(end, (uint16_t)(first + 1));
	if (ret == -EMSGSIZE)
		mif_count(&queue->counters.too_long, 1);
	else if (ret == -EPROTONOSUPPORT)
		mif_count(&queue->counters.not_ip, 1);
	else if (ret != 0)
		mif_queue_bad_desc(queue, end->common);
	else
		mif_count(&queue->counters.bytes, (*packet)->pkt_len);
	mif_count(&queue->counters.packets, ret == 0);
	return slots;
}

/*
 * Look at up to count packets of any kind in *ready slots. Returns how many there are in mbufs;
 * fewer than count when some were dropped, or the ring has to wait.
 */
static __rte_always_inline uint16_t
take_each(struct mif_queue *queue, struct mif_ring_end *end, struct rte_mbuf **mbufs,
		uint16_t count, uint32_t *ready, const enum mif_mode mode)
{
	uint16_t done = 0;
	uint16_t tries = 0;
	uint32_t slots;

	do {
		slots = take_any(queue, end, *ready, &mbufs[done], mode);
		*ready -= slots;
		if (slots != 0 && mbufs[done] != NULL)
			done++;
	} while (slots != 0 && ++tries < count && *ready != 0);
	return done;
}

/* The mode is a constant in the inlined bodies, so it is tested once for all packets. */
static __rte_noinline uint16_t
take_mixed(struct mif_queue *queue, struct mif_ring_end *end, struct rte_mbuf **mbufs,
		uint16_t count, uint32_t *ready, enum mif_mode mode)
{
	return mode == MIF_MODE_IP ? take_each(queue, end, mbufs, count, ready, MIF_MODE_IP) :
				     take_each(queue, end, mbufs, count, ready, MIF_MODE_ETHERNET);
}

/* Post mbufs for those that were taken, some at a time; for all of them when nothing comes in. */
static __rte_always_inline void
refill(struct mif_queue *queue, struct mif_ring_end *end, bool idle, const enum mif_mode mode)
{
	uint32_t missing = end->size - mif_zc_posted(end);

	if (missing == 0 || (missing < RTE_MIN(end->size / 4, (uint32_t)MIF_ZC_BATCH) && !idle))
		return;
	if (unlikely(!mif_zc_post(queue, end, mode)))
		mif_count(&queue->counters.no_mbuf, 1);
	mif_ring_publish(end->own_index, end->zc->head);
}

static __rte_always_inline uint16_t
receive(struct mif_queue *queue, struct mif_ring_end *end, struct rte_mbuf **mbufs, uint16_t count,
		const struct mif_burst_kind kind)
{
	const enum mif_mode mode = kind.mode;
	uint32_t ready = mif_rx_ready(queue, end, mif_zc_posted(end));
	const bool idle = ready == 0;
	uint16_t done = 0;
	uint16_t taken;
	uint32_t part;
	bool allowed;

	ready = mif_rx_lag(end, ready);
	allowed = ready != 0;
	while (ready != 0 && done < count) {
		part = RTE_MIN(RTE_MIN(ready, (uint32_t)(count - done)), (uint32_t)MIF_RX_CHUNK);
		if (likely(take_plain(queue, end, &mbufs[done], part, mode))) {
			ready -= part;
			done = (uint16_t)(done + part);
			continue;
		}
		taken = take_mixed(queue, end, &mbufs[done], (uint16_t)part, &ready, mode);
		done = (uint16_t)(done + taken);
		/*
		 * A burst drops no more than it was asked for, as without scatter a packet's bad
		 * end may come after 64 kB that were copied.
		 */
		if (taken < part)
			break;
	}
	if (allowed)
		mif_rx_lag_took(end, done);
	refill(queue, end, idle, mode);
	return done;
}

static uint16_t
rx_client(void *queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return mif_rx_burst(queue, mbufs, count, receive,
			(struct mif_burst_kind){ MIF_CLIENT, MIF_MODE_ETHERNET, false });
}

static uint16_t
rx_client_ip(void *queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return mif_rx_burst(queue, mbufs, count, receive,
			(struct mif_burst_kind){ MIF_CLIENT, MIF_MODE_IP, false });
}

static uint16_t
rx_client_secondary(void *queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return mif_rx_burst(queue, mbufs, count, receive,
			(struct mif_burst_kind){ MIF_CLIENT, MIF_MODE_ETHERNET, true });
}

static uint16_t
rx_client_ip_secondary(void *queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return mif_rx_burst(queue, mbufs, count, receive,
			(struct mif_burst_kind){ MIF_CLIENT, MIF_MODE_IP, true });
}

const struct mif_rx_bursts MIF_BURST_NAME(zc_rx, MIF_VARIANT) = {
	.burst = { [MIF_MODE_ETHERNET] = { [MIF_CLIENT] = rx_client },
			[MIF_MODE_IP] = { [MIF_CLIENT] = rx_client_ip } },
	.secondary = { [MIF_MODE_ETHERNET] = { [MIF_CLIENT] = rx_client_secondary },
			[MIF_MODE_IP] = { [MIF_CLIENT] = rx_client_ip_secondary } },
};

/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * Receiving packet by packet: those of several slots or mbufs, those behind an unsound descriptor,
 * and all when mbufs are short. What can be taken many at a time is in memif_rx.c.
 */

#ifndef MEMIF_RX_PACKET_H
#define MEMIF_RX_PACKET_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <rte_common.h>
#include <rte_mbuf.h>

#include "memif_copy.h"
#include "memif_desc.h"
#include "memif_ip.h"
#include "memif_queue.h"
#include "memif_ring.h"
#include "memif_rx.h"
#include "memif_zc_server.h"

/** Where a packet's bytes are, and whether its descriptor is sound. */
struct mif_rx_piece {
	uint8_t *data;
	uint32_t length;
	bool last; /**< of its packet */
	bool ok;
};

/**
 * Read the descriptor of a slot. A client knows where its own buffers are, and takes only flags and
 * length from the server.
 */
static __rte_always_inline struct mif_rx_piece
mif_rx_read_piece(const struct mif_ring_end *end, uint16_t index, const enum mif_role role)
{
	uint32_t slot = index & end->mask;
	struct mif_desc desc = mif_desc_read(&end->desc[slot]);
	struct mif_rx_piece piece = {
		.length = desc.length,
		.last = (desc.flags & MIF_DESC_NEXT) == 0,
	};

	if (role == MIF_CLIENT) {
		piece.data = end->buffers + (size_t)slot * end->stride;
		piece.ok = mif_desc_length_ok(desc.length, end->buffer_size);
	} else {
		piece.ok = mif_desc_ok(end->common->regions, end->common->region_count, desc);
		piece.data = piece.ok ? mif_desc_data(end->common->regions, desc) : NULL;
	}
	return piece;
}

/** Give slots back to the peer: a client's become empty buffers again. */
static __rte_always_inline void
mif_rx_release(struct mif_ring_end *end, uint32_t count, const enum mif_role role)
{
	/* Looked up once: a slot that is written may change anything, as compilers see it. */
	const struct mif_desc buffer = mif_own_buffer(end, 0);
	struct mif_desc *const slots = end->desc;
	const uint32_t stride = end->stride;
	const uint32_t first = end->cursor;
	const uint32_t mask = end->mask;
	struct mif_desc desc;
	uint32_t slot;

	for (uint32_t i = 0; role == MIF_CLIENT && i < count; i++) {
		slot = (first + i) & mask;
		desc = buffer;
		desc.offset += slot * stride;
		mif_desc_write(&slots[slot], desc);
	}
	mif_ring_end_advance(end, count);
}

/** mode=ip: the first byte of a packet, read once. */
static __rte_always_inline uint8_t
mif_rx_first_byte(const uint8_t *from)
{
	return __atomic_load_n(from, __ATOMIC_RELAXED);
}

/** An mbuf for a packet of which so many bytes will be written first, or NULL. */
static inline struct rte_mbuf *
mif_rx_new_mbuf(const struct mif_queue *queue, uint32_t length)
{
	struct rte_mbuf *mbuf = rte_mbuf_raw_alloc(queue->pool);

	if (mbuf == NULL)
		return NULL;
	mif_rx_init_mbuf(queue, mbuf, length);
	return mbuf;
}

/** One more segment; -EMSGSIZE if that is not allowed, -ENOBUFS without mbufs. */
static inline int
mif_rx_add_segment(const struct mif_queue *queue, struct rte_mbuf *head, struct rte_mbuf **last)
{
	if (!queue->scatter || head->nb_segs == UINT16_MAX)
		return -EMSGSIZE;
	(*last)->next = mif_rx_new_mbuf(queue, 0);
	if ((*last)->next == NULL)
		return -ENOBUFS;
	*last = (*last)->next;
	head->nb_segs++;
	return 0;
}

/** Can bytes be copied behind those of this segment? */
static inline bool
mif_rx_has_room(const struct mif_queue *queue, const struct rte_mbuf *mbuf)
{
	uint64_t more = mbuf->ol_flags & ~queue->rearm[1];

	return mbuf->data_len != queue->room && (more & RTE_MBUF_F_EXTERNAL) == 0;
}

/** Add bytes to a packet whose last segment is *last; more segments if that is allowed. */
static inline int
mif_rx_append(const struct mif_queue *queue, struct rte_mbuf *head, struct rte_mbuf **last,
		const struct mif_rx_piece *piece)
{
	const uint8_t *from = piece->data;
	uint32_t left = piece->length;
	uint32_t part;
	int ret;

	while (left != 0) {
		if (!mif_rx_has_room(queue, *last)) {
			ret = mif_rx_add_segment(queue, head, last);
			if (ret != 0)
				return ret;
		}
		part = RTE_MIN(left, queue->room - (*last)->data_len);
		mif_copy(rte_pktmbuf_mtod_offset(*last, uint8_t *, (*last)->data_len), from, part);
		(*last)->data_len = (uint16_t)((*last)->data_len + part);
		from += part;
		left -= part;
	}
	return 0;
}

/** The same without copying: a segment of its own, which is the first one if that is empty yet. */
static inline int
mif_rx_append_lent(const struct mif_queue *queue, const struct mif_ring_end *end, uint16_t index,
		struct rte_mbuf *head, struct rte_mbuf **last, const struct mif_rx_piece *piece,
		struct mif_lending *lending)
{
	int ret = (*last)->data_len == 0 ? 0 : mif_rx_add_segment(queue, head, last);

	if (ret != 0)
		return ret;
	mif_lend(queue, end->loans, index, *last, piece->data, piece->length, lending);
	(*last)->data_len = (uint16_t)piece->length;
	return 0;
}

/** Is this piece of a packet to be lent? A packet of several is if it may have several segments. */
static inline bool
mif_rx_is_lent(const struct mif_queue *queue, uint32_t slots, uint32_t length,
		const struct mif_lending *lending)
{
	return lending != NULL && length >= lending->from && length <= queue->lend_most &&
			(slots == 1 || queue->scatter);
}

/** mode=ip: write the header of a packet that begins with this piece; false if it is not IP. */
static inline bool
mif_rx_put_l2(const struct mif_queue *queue, struct rte_mbuf *head,
		const struct mif_rx_piece *piece)
{
	uint8_t first = mif_rx_first_byte(piece->data);

	if (!mif_is_ip(first))
		return false;
	mif_l2_write(rte_pktmbuf_mtod(head, uint8_t *), &queue->l2, first);
	return true;
}

/**
 * Take a packet of so many slots into mbufs. The chain's length is what mif_rx_chain_length() saw;
 * from here on flags do not count, so it does not matter if the peer changes them.
 *
 * @param packet  receives it
 * @return 0; -ENOBUFS without mbufs, -EINVAL for an unsound descriptor, -EMSGSIZE when it is too
 *         long, -EPROTONOSUPPORT when it is not IP (mode=ip)
 */
static inline int
mif_rx_take_packet(const struct mif_queue *queue, const struct mif_ring_end *end, uint32_t slots,
		const enum mif_role role, const enum mif_mode mode, struct mif_lending *lending,
		struct rte_mbuf **packet)
{
	struct rte_mbuf *head = mif_rx_new_mbuf(queue, mif_l2_added(mode));
	struct rte_mbuf *last = head;
	struct mif_rx_piece piece;
	uint16_t index;
	int ret = 0;

	if (head == NULL)
		return -ENOBUFS;
	for (uint32_t i = 0; i < slots && ret == 0; i++) {
		index = (uint16_t)(end->cursor + i);
		piece = mif_rx_read_piece(end, index, role);
		if (!piece.ok)
			ret = -EINVAL;
		else if ((uint64_t)head->pkt_len + piece.length > MIF_PACKET_MAX)
			ret = -EMSGSIZE;
		else if (mode == MIF_MODE_IP && i == 0 && !mif_rx_put_l2(queue, head, &piece))
			ret = -EPROTONOSUPPORT;
		else if (mif_rx_is_lent(queue, slots, piece.length, lending))
			ret = mif_rx_append_lent(queue, end, index, head, &last, &piece, lending);
		else
			ret = mif_rx_append(queue, head, &last, &piece);
		head->pkt_len += ret == 0 ? piece.length : 0;
	}
	if (ret != 0) {
		rte_pktmbuf_free(head);
		return ret;
	}
	*packet = head;
	return 0;
}

/**
 * Stock clients of DPDK never clear NEXT: a packet of one slot that reuses it would run into the
 * packet behind it.
 */
static inline void
mif_rx_clear_next(struct mif_ring_end *end, uint32_t slots)
{
	struct mif_desc *desc;

	for (uint32_t i = 0; i + 1 < slots; i++) {
		desc = &end->desc[(end->cursor + i) & end->mask];
		__atomic_store_n(&desc->flags, 0, __ATOMIC_RELAXED);
	}
}

/** A packet was dropped for that. */
static inline void
mif_rx_count_drop(struct mif_queue *queue, struct mif_shared *common, int error)
{
	if (error == -EMSGSIZE)
		mif_count(&queue->counters.too_long, 1);
	else if (error == -EPROTONOSUPPORT)
		mif_count(&queue->counters.not_ip, 1);
	else
		mif_queue_bad_desc(queue, common);
}

/**
 * Take one packet of any kind.
 *
 * @param packet  receives it, or NULL if it was dropped
 * @return the slots it took, 0 if it has to wait
 */
static __rte_always_inline uint32_t
mif_rx_take_any(struct mif_queue *queue, struct mif_ring_end *end, uint32_t ready,
		struct rte_mbuf **packet, const enum mif_role role, const enum mif_mode mode,
		struct mif_lending *lending)
{
	const uint32_t lent_before = lending != NULL ? lending->slots : 0;
	uint32_t slots = mif_rx_chain_length(end, ready);
	int ret;

	*packet = NULL;
	if (slots == 0) {
		if (ready == end->size)
			mif_queue_fault(end->common, MIF_FAULT_CHAIN);
		return 0;
	}
	ret = mif_rx_take_packet(queue, end, slots, role, mode, lending, packet);
	if (ret == -ENOBUFS) {
		mif_count(&queue->counters.no_mbuf, 1);
		return 0;
	}
	if (role == MIF_SERVER)
		mif_rx_clear_next(end, slots);
	mif_rx_release(end, slots, role);
	if (ret != 0) {
		mif_rx_count_drop(queue, end->common, ret);
		return slots;
	}
	mif_count(&queue->counters.packets, 1);
	mif_count(&queue->counters.bytes, (*packet)->pkt_len);
	if (lending != NULL)
		mif_lend_note(queue, packet, 1, lending,
				lending->slots - (lending->slots != lent_before), mode);
	return slots;
}

/**
 * Look at up to count packets of any kind in *ready slots.
 *
 * @return how many there are in mbufs; fewer than count when some were dropped, or the ring has to
 *         wait
 */
static __rte_always_inline uint16_t
mif_rx_take_each(struct mif_queue *queue, struct mif_ring_end *end, struct rte_mbuf **mbufs,
		uint16_t count, uint32_t *ready, const enum mif_role role, const enum mif_mode mode,
		struct mif_lending *lending)
{
	uint16_t done = 0;
	uint16_t tries = 0;
	uint32_t slots;

	do {
		if (lending != NULL)
			mif_lend_part_of(queue, end, 0, lending);
		slots = mif_rx_take_any(queue, end, *ready, &mbufs[done], role, mode, lending);
		*ready -= slots;
		if (slots != 0 && mbufs[done] != NULL)
			done++;
	} while (slots != 0 && ++tries < count && *ready != 0);
	return done;
}

/**
 * mif_rx_take_each() with constants for role and mode in its inlined bodies: they are tested once for
 * all packets.
 */
static __rte_noinline uint16_t
mif_rx_take_mixed(struct mif_queue *queue, struct mif_ring_end *end, struct rte_mbuf **mbufs,
		uint16_t count, uint32_t *ready, enum mif_role role, enum mif_mode mode,
		struct mif_lending *lending)
{
	if (role == MIF_CLIENT && mode == MIF_MODE_ETHERNET)
		return mif_rx_take_each(queue, end, mbufs, count, ready, MIF_CLIENT,
				MIF_MODE_ETHERNET, NULL);
	if (role == MIF_CLIENT)
		return mif_rx_take_each(queue, end, mbufs, count, ready, MIF_CLIENT, MIF_MODE_IP,
				NULL);
	if (mode == MIF_MODE_ETHERNET)
		return mif_rx_take_each(queue, end, mbufs, count, ready, MIF_SERVER,
				MIF_MODE_ETHERNET, lending);
	return mif_rx_take_each(queue, end, mbufs, count, ready, MIF_SERVER, MIF_MODE_IP, lending);
}

#endif /* MEMIF_RX_PACKET_H */

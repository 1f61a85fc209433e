/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <string.h>
#include <ethdev_driver.h>
#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <rte_mbuf.h>
#include <rte_prefetch.h>

#include "memif_burst.h"
#include "memif_copy.h"
#include "memif_desc.h"
#include "memif_ethdev.h"
#include "memif_queue.h"
#include "memif_ring.h"
#include "memif_rx.h"

/* Where a packet's bytes are, and whether its descriptor is sound. */
struct rx_piece {
	const uint8_t *data;
	uint32_t length;
	bool last; /* of its packet */
	bool ok;
};

/*
 * Read the descriptor of a slot. A client knows where its own buffers are, and takes only flags and
 * length from the server.
 */
static __rte_always_inline struct rx_piece
read_piece(const struct mif_ring_end *end, uint16_t index, const enum mif_role role)
{
	uint32_t slot = index & end->mask;
	struct mif_desc desc = mif_desc_read(&end->desc[slot]);
	struct rx_piece piece = {
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

/* Give slots back to the peer: a client's become empty buffers again. */
static __rte_always_inline void
release(struct mif_ring_end *end, uint32_t count, const enum mif_role role)
{
	uint32_t slot;

	for (uint32_t i = 0; role == MIF_CLIENT && i < count; i++) {
		slot = (end->cursor + i) & end->mask;
		mif_desc_write(&end->desc[slot], mif_own_buffer(end, slot));
	}
	mif_ring_end_advance(end, count);
}

/* The usual case: count sound descriptors, each a whole packet that fits into an mbuf. Else false,
 * and nothing has happened. */
static __rte_always_inline bool
take_plain(struct mif_queue *queue, struct mif_ring_end *end, struct rte_mbuf **mbufs,
		uint32_t count, const enum mif_role role)
{
	struct rx_piece pieces[MIF_RX_CHUNK];
	uint64_t bytes = 0;
	bool plain = true;

	for (uint32_t i = 0; i < count; i++) {
		pieces[i] = read_piece(end, (uint16_t)(end->cursor + i), role);
		plain &= pieces[i].ok & pieces[i].last & (pieces[i].length <= queue->room);
		rte_prefetch0(pieces[i].data);
	}
	if (unlikely(!plain) ||
			unlikely(rte_mempool_get_bulk(queue->pool, (void **)mbufs, count) != 0))
		return false;
	for (uint32_t i = 0; i < count; i++) {
		mif_rx_init_mbuf(queue, mbufs[i], pieces[i].length);
		mif_copy(rte_pktmbuf_mtod(mbufs[i], uint8_t *), pieces[i].data, pieces[i].length);
		bytes += pieces[i].length;
	}
	release(end, count, role);
	mif_count(&queue->counters.packets, count);
	mif_count(&queue->counters.bytes, bytes);
	return true;
}

static struct rte_mbuf *
new_mbuf(const struct mif_queue *queue)
{
	struct rte_mbuf *mbuf = rte_mbuf_raw_alloc(queue->pool);

	if (mbuf == NULL)
		return NULL;
	mif_rx_init_mbuf(queue, mbuf, 0);
	return mbuf;
}

/* Add bytes to a packet whose last segment is *last; more segments if that is allowed. */
static int
append(const struct mif_queue *queue, struct rte_mbuf *head, struct rte_mbuf **last,
		const struct rx_piece *piece)
{
	const uint8_t *from = piece->data;
	uint32_t left = piece->length;
	uint32_t part;

	while (left != 0) {
		if ((*last)->data_len == queue->room) {
			if (!queue->scatter || head->nb_segs == UINT16_MAX)
				return -EMSGSIZE;
			(*last)->next = new_mbuf(queue);
			if ((*last)->next == NULL)
				return -ENOBUFS;
			*last = (*last)->next;
			head->nb_segs++;
		}
		part = RTE_MIN(left, queue->room - (*last)->data_len);
		mif_copy(rte_pktmbuf_mtod_offset(*last, uint8_t *, (*last)->data_len), from, part);
		(*last)->data_len = (uint16_t)((*last)->data_len + part);
		from += part;
		left -= part;
	}
	return 0;
}

/*
 * Copy a packet of so many slots into mbufs. The chain's length is what mif_rx_chain_length() saw; from
 * here on flags do not count, so it does not matter if the peer changes them.
 */
static int
copy_packet(const struct mif_queue *queue, const struct mif_ring_end *end, uint32_t slots,
		const enum mif_role role, struct rte_mbuf **packet)
{
	struct rte_mbuf *head = new_mbuf(queue);
	struct rte_mbuf *last = head;
	struct rx_piece piece;
	int ret = 0;

	if (head == NULL)
		return -ENOBUFS;
	for (uint32_t i = 0; i < slots && ret == 0; i++) {
		piece = read_piece(end, (uint16_t)(end->cursor + i), role);
		if (!piece.ok)
			ret = -EINVAL;
		else if ((uint64_t)head->pkt_len + piece.length > MIF_PACKET_MAX)
			ret = -EMSGSIZE;
		else
			ret = append(queue, head, &last, &piece);
		head->pkt_len += ret == 0 ? piece.length : 0;
	}
	if (ret != 0) {
		rte_pktmbuf_free(head);
		return ret;
	}
	*packet = head;
	return 0;
}

/*
 * Stock clients of DPDK never clear NEXT: a packet of one slot that reuses it would run into the
 * packet behind it.
 */
static void
clear_next(struct mif_ring_end *end, uint32_t slots)
{
	struct mif_desc *desc;

	for (uint32_t i = 0; i + 1 < slots; i++) {
		desc = &end->desc[(end->cursor + i) & end->mask];
		__atomic_store_n(&desc->flags, 0, __ATOMIC_RELAXED);
	}
}

/*
 * Take one packet of any kind.
 *
 * Returns the slots it took, 0 if it has to wait; *packet is NULL if it was dropped.
 */
static __rte_always_inline uint32_t
take_any(struct mif_queue *queue, struct mif_ring_end *end, uint32_t ready,
		struct rte_mbuf **packet, const enum mif_role role)
{
	uint32_t slots = mif_rx_chain_length(end, ready);
	int ret;

	*packet = NULL;
	if (slots == 0) {
		if (ready == end->size)
			mif_queue_fault(end->common, MIF_FAULT_CHAIN);
		return 0;
	}
	ret = copy_packet(queue, end, slots, role, packet);
	if (ret == -ENOBUFS) {
		mif_count(&queue->counters.no_mbuf, 1);
		return 0;
	}
	if (role == MIF_SERVER)
		clear_next(end, slots);
	release(end, slots, role);
	if (ret == -EMSGSIZE)
		mif_count(&queue->counters.too_long, 1);
	else if (ret != 0)
		mif_queue_bad_desc(queue, end->common);
	else
		mif_count(&queue->counters.bytes, (*packet)->pkt_len);
	mif_count(&queue->counters.packets, ret == 0);
	return slots;
}

/*
 * Take up to count packets of any kind from *ready slots. Returns how many there are in mbufs; with
 * *ready unchanged, the ring has to wait.
 */
static __rte_noinline uint16_t
take_mixed(struct mif_queue *queue, struct mif_ring_end *end, struct rte_mbuf **mbufs,
		uint16_t count, uint32_t *ready, const enum mif_role role)
{
	uint16_t done = 0;
	uint32_t slots;

	do {
		if (role == MIF_CLIENT)
			slots = take_any(queue, end, *ready, &mbufs[done], MIF_CLIENT);
		else
			slots = take_any(queue, end, *ready, &mbufs[done], MIF_SERVER);
		*ready -= slots;
		if (slots != 0 && mbufs[done] != NULL)
			done++;
	} while (slots != 0 && done < count && *ready != 0);
	return done;
}

static __rte_always_inline uint16_t
receive(struct mif_queue *queue, struct mif_ring_end *end, struct rte_mbuf **mbufs, uint16_t count,
		const enum mif_role role)
{
	uint32_t ready = mif_rx_ready(queue, end, end->size);
	const uint16_t before = end->cursor;
	uint16_t done = 0;
	uint32_t left, part;

	while (ready != 0 && done < count) {
		part = RTE_MIN(RTE_MIN(ready, (uint32_t)(count - done)), (uint32_t)MIF_RX_CHUNK);
		if (likely(take_plain(queue, end, &mbufs[done], part, role))) {
			ready -= part;
			done = (uint16_t)(done + part);
			continue;
		}
		left = ready;
		done = (uint16_t)(done +
				take_mixed(queue, end, &mbufs[done], (uint16_t)part, &ready, role));
		if (ready == left)
			break;
	}
	/* A client's buffers are all posted, always: its index is a ring ahead of its cursor. */
	if (end->cursor != before)
		mif_ring_publish(end->own_index,
				(uint16_t)(end->cursor + (role == MIF_CLIENT ? end->size : 0)));
	return done;
}

static __rte_always_inline uint16_t
rx_burst(struct mif_queue *queue, struct rte_mbuf **mbufs, uint16_t count, const enum mif_role role)
{
	struct mif_ring_end *end = mif_gate_enter(&queue->gate);
	uint16_t done = 0;

	for (; end != NULL; end = end->next)
		done = (uint16_t)(done +
				receive(queue, end, &mbufs[done], (uint16_t)(count - done), role));
	mif_gate_leave(&queue->gate);
	return done;
}

static uint16_t
rx_client(void *queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return rx_burst(queue, mbufs, count, MIF_CLIENT);
}

static uint16_t
rx_server(void *queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return rx_burst(queue, mbufs, count, MIF_SERVER);
}

const struct mif_rx_bursts MIF_BURST_NAME(rx, MIF_VARIANT) = {
	.burst = { [MIF_CLIENT] = rx_client, [MIF_SERVER] = rx_server },
};

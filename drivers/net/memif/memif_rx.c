/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <string.h>
#include <ethdev_driver.h>
#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <rte_mbuf.h>

#include "memif_burst.h"
#include "memif_copy.h"
#include "memif_desc.h"
#include "memif_ethdev.h"
#include "memif_ip.h"
#include "memif_queue.h"
#include "memif_ring.h"
#include "memif_rx.h"
#include "memif_zc_server.h"

/* Where a packet's bytes are, and whether its descriptor is sound. */
struct rx_piece {
	uint8_t *data;
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

/* mode=ip: the first byte of a piece, read once. */
static __rte_always_inline uint8_t
first_byte(const struct rx_piece *piece)
{
	return __atomic_load_n(piece->data, __ATOMIC_RELAXED);
}

/* mode=ip: the first bytes of sound packets; false if one of them is not IP. */
static __rte_always_inline bool
read_first_bytes(uint8_t *first, const struct rx_piece *pieces, uint32_t count)
{
	bool ip = true;

	for (uint32_t i = 0; i < count; i++) {
		first[i] = first_byte(&pieces[i]);
		ip &= mif_is_ip(first[i]);
	}
	return ip;
}

/* Mbufs for packets, and for what is to stand behind some of them; all or none. */
static __rte_always_inline bool
get_mbufs(const struct mif_queue *queue, struct rte_mbuf **mbufs, uint32_t count,
		struct rte_mbuf **behind, uint32_t behind_count)
{
	if (unlikely(rte_mempool_get_bulk(queue->pool, (void **)mbufs, count) != 0))
		return false;
	if (behind_count == 0 ||
			likely(rte_mempool_get_bulk(queue->pool, (void **)behind, behind_count) ==
					0))
		return true;
	rte_mempool_put_bulk(queue->pool, (void *const *)mbufs, count);
	return false;
}

/*
 * The usual case: count sound descriptors, each a whole packet that fits into an mbuf. Else false,
 * and nothing has happened. With lending, NULL without, long ones are lent.
 */
static __rte_always_inline bool
take_plain(struct mif_queue *queue, struct mif_ring_end *end, struct rte_mbuf **mbufs,
		uint32_t count, const enum mif_role role, const enum mif_mode mode,
		struct mif_lending *lending)
{
	const uint32_t l2 = mif_l2_added(mode);
	const uint32_t lent_before = lending != NULL ? lending->slots : 0;
	struct rte_mbuf *behind[MIF_RX_CHUNK]; /* mode=ip: for what is lent */
	struct rx_piece pieces[MIF_RX_CHUNK];
	uint8_t first[MIF_RX_CHUNK];
	uint32_t behind_count = 0;
	uint64_t bytes = 0;
	bool plain = true;
	uint8_t *to;
	uint32_t ahead;

	for (uint32_t n = 0; n < count; n++) {
		/* A client reads its descriptors backwards: CPUs fetch ahead what seems to be wanted next,
		 * which would be those that the server is about to write. */
		const uint32_t i = role == MIF_CLIENT ? count - 1 - n : n;

		pieces[i] = read_piece(end, (uint16_t)(end->cursor + i), role);
		plain &= pieces[i].ok & pieces[i].last &
				(pieces[i].length <=
						mif_lend_room(queue, pieces[i].length, lending) -
								l2);
		bytes += l2 + pieces[i].length;
		if (mode == MIF_MODE_IP && lending != NULL)
			behind_count += pieces[i].length >= lending->from;
		/* Measured: at 64 bytes it pays for a client, and costs a server 15 %. */
		if (role == MIF_CLIENT)
			mif_prefetch_first(pieces[i].data, false);
	}
	if (mode == MIF_MODE_IP && plain)
		plain = read_first_bytes(first, pieces, count);
	if (unlikely(!plain) || unlikely(!get_mbufs(queue, mbufs, count, behind, behind_count)))
		return false;
	ahead = lending == NULL ? mif_prefetch_distance(bytes, count) : 0;
	for (uint32_t i = 0; i < RTE_MIN(ahead, count); i++)
		mif_prefetch_rest(pieces[i].data, pieces[i].length, false);
	for (uint32_t i = 0; i < count; i++) {
		if (ahead != 0 && i + ahead < count)
			mif_prefetch_rest(pieces[i + ahead].data, pieces[i + ahead].length, false);
		mif_rx_init_mbuf(queue, mbufs[i], l2 + pieces[i].length);
		to = rte_pktmbuf_mtod(mbufs[i], uint8_t *);
		if (mode == MIF_MODE_IP)
			mif_l2_write(to, &queue->l2, first[i]);
		if (lending == NULL || pieces[i].length < lending->from)
			mif_copy(to + l2, pieces[i].data, pieces[i].length);
		else if (mode == MIF_MODE_IP)
			mif_lend_behind_l2(queue, end->loans, (uint16_t)(end->cursor + i), mbufs[i],
					behind[--behind_count], pieces[i].data, pieces[i].length,
					lending);
		else
			mif_lend(queue, end->loans, (uint16_t)(end->cursor + i), mbufs[i],
					pieces[i].data, pieces[i].length, lending);
	}
	release(end, count, role);
	mif_count(&queue->counters.packets, count);
	mif_count(&queue->counters.bytes, bytes);
	if (lending != NULL)
		mif_lend_note(queue, mbufs, count, lending, lent_before, mode);
	return true;
}

/* The length is of what will be written first. */
static struct rte_mbuf *
new_mbuf(const struct mif_queue *queue, uint32_t length)
{
	struct rte_mbuf *mbuf = rte_mbuf_raw_alloc(queue->pool);

	if (mbuf == NULL)
		return NULL;
	mif_rx_init_mbuf(queue, mbuf, length);
	return mbuf;
}

/* One more segment, if that is allowed. */
static int
add_segment(const struct mif_queue *queue, struct rte_mbuf *head, struct rte_mbuf **last)
{
	if (!queue->scatter || head->nb_segs == UINT16_MAX)
		return -EMSGSIZE;
	(*last)->next = new_mbuf(queue, 0);
	if ((*last)->next == NULL)
		return -ENOBUFS;
	*last = (*last)->next;
	head->nb_segs++;
	return 0;
}

/* Can bytes be copied behind those of this segment? */
static bool
has_room(const struct mif_queue *queue, const struct rte_mbuf *mbuf)
{
	uint64_t more = mbuf->ol_flags & ~queue->rearm[1];

	return mbuf->data_len != queue->room && (more & RTE_MBUF_F_EXTERNAL) == 0;
}

/* Add bytes to a packet whose last segment is *last; more segments if that is allowed. */
static int
append(const struct mif_queue *queue, struct rte_mbuf *head, struct rte_mbuf **last,
		const struct rx_piece *piece)
{
	const uint8_t *from = piece->data;
	uint32_t left = piece->length;
	uint32_t part;
	int ret;

	while (left != 0) {
		if (!has_room(queue, *last)) {
			ret = add_segment(queue, head, last);
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

/* The same without copying: a segment of its own, which is the first one if that is empty yet. */
static int
append_lent(const struct mif_queue *queue, const struct mif_ring_end *end, uint16_t index,
		struct rte_mbuf *head, struct rte_mbuf **last, const struct rx_piece *piece,
		struct mif_lending *lending)
{
	int ret = (*last)->data_len == 0 ? 0 : add_segment(queue, head, last);

	if (ret != 0)
		return ret;
	mif_lend(queue, end->loans, index, *last, piece->data, piece->length, lending);
	(*last)->data_len = (uint16_t)piece->length;
	return 0;
}

/* Is this piece of a packet to be lent? A packet of several is if it may have several segments. */
static bool
is_lent(const struct mif_queue *queue, uint32_t slots, uint32_t length,
		const struct mif_lending *lending)
{
	return lending != NULL && length >= lending->from && length <= queue->lend_most &&
			(slots == 1 || queue->scatter);
}

/* mode=ip: write the header of a packet that begins with this piece; false if it is not IP. */
static bool
put_l2(const struct mif_queue *queue, struct rte_mbuf *head, const struct rx_piece *piece)
{
	uint8_t first = first_byte(piece);

	if (!mif_is_ip(first))
		return false;
	mif_l2_write(rte_pktmbuf_mtod(head, uint8_t *), &queue->l2, first);
	return true;
}

/*
 * Take a packet of so many slots into mbufs. The chain's length is what mif_rx_chain_length() saw; from
 * here on flags do not count, so it does not matter if the peer changes them.
 */
static int
take_packet(const struct mif_queue *queue, const struct mif_ring_end *end, uint32_t slots,
		const enum mif_role role, const enum mif_mode mode, struct mif_lending *lending,
		struct rte_mbuf **packet)
{
	struct rte_mbuf *head = new_mbuf(queue, mif_l2_added(mode));
	struct rte_mbuf *last = head;
	struct rx_piece piece;
	uint16_t index;
	int ret = 0;

	if (head == NULL)
		return -ENOBUFS;
	for (uint32_t i = 0; i < slots && ret == 0; i++) {
		index = (uint16_t)(end->cursor + i);
		piece = read_piece(end, index, role);
		if (!piece.ok)
			ret = -EINVAL;
		else if ((uint64_t)head->pkt_len + piece.length > MIF_PACKET_MAX)
			ret = -EMSGSIZE;
		else if (mode == MIF_MODE_IP && i == 0 && !put_l2(queue, head, &piece))
			ret = -EPROTONOSUPPORT;
		else if (is_lent(queue, slots, piece.length, lending))
			ret = append_lent(queue, end, index, head, &last, &piece, lending);
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

/* A packet was dropped for that. */
static void
count_drop(struct mif_queue *queue, struct mif_shared *common, int error)
{
	if (error == -EMSGSIZE)
		mif_count(&queue->counters.too_long, 1);
	else if (error == -EPROTONOSUPPORT)
		mif_count(&queue->counters.not_ip, 1);
	else
		mif_queue_bad_desc(queue, common);
}

/*
 * Take one packet of any kind.
 *
 * Returns the slots it took, 0 if it has to wait; *packet is NULL if it was dropped.
 */
static __rte_always_inline uint32_t
take_any(struct mif_queue *queue, struct mif_ring_end *end, uint32_t ready,
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
	ret = take_packet(queue, end, slots, role, mode, lending, packet);
	if (ret == -ENOBUFS) {
		mif_count(&queue->counters.no_mbuf, 1);
		return 0;
	}
	if (role == MIF_SERVER)
		clear_next(end, slots);
	release(end, slots, role);
	if (ret != 0) {
		count_drop(queue, end->common, ret);
		return slots;
	}
	mif_count(&queue->counters.packets, 1);
	mif_count(&queue->counters.bytes, (*packet)->pkt_len);
	if (lending != NULL)
		mif_lend_note(queue, packet, 1, lending,
				lending->slots - (lending->slots != lent_before), mode);
	return slots;
}

/*
 * Look at up to count packets of any kind in *ready slots. Returns how many there are in mbufs; fewer
 * than count when some were dropped, or the ring has to wait.
 */
static __rte_always_inline uint16_t
take_each(struct mif_queue *queue, struct mif_ring_end *end, struct rte_mbuf **mbufs,
		uint16_t count, uint32_t *ready, const enum mif_role role, const enum mif_mode mode,
		struct mif_lending *lending)
{
	uint16_t done = 0;
	uint16_t tries = 0;
	uint32_t slots;

	do {
		if (lending != NULL)
			mif_lend_part_of(queue, end, 0, lending);
		slots = take_any(queue, end, *ready, &mbufs[done], role, mode, lending);
		*ready -= slots;
		if (slots != 0 && mbufs[done] != NULL)
			done++;
	} while (slots != 0 && ++tries < count && *ready != 0);
	return done;
}

/* Role and mode are constants in the inlined bodies, so they are tested once for all packets. */
static __rte_noinline uint16_t
take_mixed(struct mif_queue *queue, struct mif_ring_end *end, struct rte_mbuf **mbufs,
		uint16_t count, uint32_t *ready, enum mif_role role, enum mif_mode mode,
		struct mif_lending *lending)
{
	if (role == MIF_CLIENT && mode == MIF_MODE_ETHERNET)
		return take_each(queue, end, mbufs, count, ready, MIF_CLIENT, MIF_MODE_ETHERNET,
				NULL);
	if (role == MIF_CLIENT)
		return take_each(queue, end, mbufs, count, ready, MIF_CLIENT, MIF_MODE_IP, NULL);
	if (mode == MIF_MODE_ETHERNET)
		return take_each(queue, end, mbufs, count, ready, MIF_SERVER, MIF_MODE_ETHERNET,
				lending);
	return take_each(queue, end, mbufs, count, ready, MIF_SERVER, MIF_MODE_IP, lending);
}

/* Take up to count packets; returns how many there are in mbufs. */
static __rte_always_inline uint16_t
take(struct mif_queue *queue, struct mif_ring_end *end, struct rte_mbuf **mbufs, uint16_t count,
		uint32_t ready, const enum mif_role role, const enum mif_mode mode,
		struct mif_lending *lending)
{
	uint16_t done = 0;
	uint16_t taken;
	uint32_t part;

	while (ready != 0 && done < count) {
		part = RTE_MIN(ready, (uint32_t)(count - done));
		part = RTE_MIN(part, (uint32_t)MIF_RX_CHUNK);
		if (lending != NULL)
			part = mif_lend_part_of(queue, end, part, lending);
		if (likely(take_plain(queue, end, &mbufs[done], part, role, mode, lending))) {
			ready -= part;
			done = (uint16_t)(done + part);
			continue;
		}
		taken = take_mixed(queue, end, &mbufs[done], (uint16_t)part, &ready, role, mode,
				lending);
		done = (uint16_t)(done + taken);
		/* A burst drops no more than it was asked for: a packet's bad end may come after 64 kB
		 * that were copied, and a ring can be full of such packets. */
		if (taken < RTE_MAX(part, 1u))
			break;
	}
	return done;
}

static __rte_always_inline uint16_t
receive(struct mif_queue *queue, struct mif_ring_end *end, struct rte_mbuf **mbufs, uint16_t count,
		const struct mif_burst_kind kind)
{
	uint32_t ready = mif_rx_ready(queue, end, end->size);
	const uint16_t before = end->cursor;
	uint16_t done = take(queue, end, mbufs, count, ready, kind.role, kind.mode, NULL);

	/* A client's buffers are all posted, always: its index is a ring ahead of its cursor. */
	if (end->cursor != before)
		mif_ring_publish(end->own_index,
				(uint16_t)(end->cursor +
						(kind.role == MIF_CLIENT ? end->size : 0)));
	return done;
}

/* The same for a server with zero-copy: slots go back when nobody uses their packets any more. A
 * secondary copies, as DPDK calls back in the process that frees an mbuf, which may be another. */
static __rte_always_inline uint16_t
receive_lending(struct mif_queue *queue, struct mif_ring_end *end, struct rte_mbuf **mbufs,
		uint16_t count, const struct mif_burst_kind kind)
{
	struct mif_lending lending = { .from = queue->lend_from };
	const uint16_t before = end->cursor;
	uint16_t done = 0;
	uint32_t ready;

	if (mif_loans_out(end->loans) != 0)
		mif_loans_give_back(end->loans);
	ready = mif_lend_ready(queue, end);
	if (ready == 0)
		return 0;
	lending.stamp = mif_lend_stamp();
	done = take(queue, end, mbufs, count, ready, MIF_SERVER, kind.mode,
			kind.secondary ? NULL : &lending);
	if (end->cursor == before)
		return done;
	mif_loans_taken(end->loans, end->cursor, lending.slots != 0);
	/* What was copied goes back at once if nothing stands before it. */
	if (lending.slots == 0)
		mif_loans_give_back(end->loans);
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
rx_server(void *queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return mif_rx_burst(queue, mbufs, count, receive,
			(struct mif_burst_kind){ MIF_SERVER, MIF_MODE_ETHERNET, false });
}

static uint16_t
rx_server_ip(void *queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return mif_rx_burst(queue, mbufs, count, receive,
			(struct mif_burst_kind){ MIF_SERVER, MIF_MODE_IP, false });
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

static uint16_t
rx_server_secondary(void *queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return mif_rx_burst(queue, mbufs, count, receive,
			(struct mif_burst_kind){ MIF_SERVER, MIF_MODE_ETHERNET, true });
}

static uint16_t
rx_server_ip_secondary(void *queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return mif_rx_burst(queue, mbufs, count, receive,
			(struct mif_burst_kind){ MIF_SERVER, MIF_MODE_IP, true });
}

static uint16_t
rx_lending(void *queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return mif_rx_burst(queue, mbufs, count, receive_lending,
			(struct mif_burst_kind){ MIF_SERVER, MIF_MODE_ETHERNET, false });
}

static uint16_t
rx_lending_ip(void *queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return mif_rx_burst(queue, mbufs, count, receive_lending,
			(struct mif_burst_kind){ MIF_SERVER, MIF_MODE_IP, false });
}

static uint16_t
rx_lending_secondary(void *queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return mif_rx_burst(queue, mbufs, count, receive_lending,
			(struct mif_burst_kind){ MIF_SERVER, MIF_MODE_ETHERNET, true });
}

static uint16_t
rx_lending_ip_secondary(void *queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return mif_rx_burst(queue, mbufs, count, receive_lending,
			(struct mif_burst_kind){ MIF_SERVER, MIF_MODE_IP, true });
}

const struct mif_rx_bursts MIF_BURST_NAME(rx, MIF_VARIANT) = {
	.burst[MIF_MODE_ETHERNET] = { [MIF_CLIENT] = rx_client, [MIF_SERVER] = rx_server },
	.burst[MIF_MODE_IP] = { [MIF_CLIENT] = rx_client_ip, [MIF_SERVER] = rx_server_ip },
	.lending[MIF_MODE_ETHERNET] = { rx_lending, rx_lending_secondary },
	.lending[MIF_MODE_IP] = { rx_lending_ip, rx_lending_ip_secondary },
	.secondary[MIF_MODE_ETHERNET] = { [MIF_CLIENT] = rx_client_secondary,
			[MIF_SERVER] = rx_server_secondary },
	.secondary[MIF_MODE_IP] = { [MIF_CLIENT] = rx_client_ip_secondary,
			[MIF_SERVER] = rx_server_ip_secondary },
};

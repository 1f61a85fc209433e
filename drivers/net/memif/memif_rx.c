/* SPDX-License-Identifier: BSD-3-Clause */

#include <ethdev_driver.h>
#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <rte_mbuf.h>

#include "memif_burst.h"
#include "memif_copy.h"
#include "memif_ethdev.h"
#include "memif_ip.h"
#include "memif_queue.h"
#include "memif_ring.h"
#include "memif_rx.h"
#include "memif_rx_packet.h"
#include "memif_zc_server.h"

/* mode=ip: the first bytes of sound packets; false if one of them is not IP. */
static __rte_always_inline bool
read_first_bytes(uint8_t *first, uint8_t *const *from, uint32_t count)
{
	bool ip = true;

	for (uint32_t i = 0; i < count; i++) {
		first[i] = mif_rx_first_byte(from[i]);
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
	uint8_t *from[MIF_RX_CHUNK];
	uint32_t lengths[MIF_RX_CHUNK];
	uint8_t first[MIF_RX_CHUNK];
	uint32_t behind_count = 0;
	uint64_t bytes = 0;
	bool plain = true;
	uint8_t *to;
	uint32_t ahead;

	for (uint32_t i = 0; i < count; i++) {
		const struct mif_rx_piece piece = mif_rx_read_piece(end,
				(uint16_t)(end->cursor + i), role);

		from[i] = piece.data;
		lengths[i] = piece.length;
		plain &= piece.ok & piece.last &
				(piece.length <= mif_lend_room(queue, piece.length, lending) - l2);
		bytes += l2 + piece.length;
		if (mode == MIF_MODE_IP && lending != NULL)
			behind_count += piece.length >= lending->from;
		/* Measured: at 64 bytes it pays for a client, and costs a server 15 %. */
		if (role == MIF_CLIENT)
			mif_prefetch_first(from[i], false);
	}
	if (mode == MIF_MODE_IP && plain)
		plain = read_first_bytes(first, from, count);
	if (unlikely(!plain) || unlikely(!get_mbufs(queue, mbufs, count, behind, behind_count)))
		return false;
	ahead = lending == NULL ? mif_prefetch_distance(bytes, count, true) : 0;
	for (uint32_t i = 0; i < RTE_MIN(ahead, count); i++)
		mif_prefetch_rest(from[i], lengths[i], false);
	for (uint32_t i = 0; i < count; i++) {
		struct rte_mbuf *mbuf = mbufs[i];

		if (ahead != 0 && i + ahead < count)
			mif_prefetch_rest(from[i + ahead], lengths[i + ahead], false);
		mif_rx_init_mbuf(queue, mbuf, l2 + lengths[i]);
		to = rte_pktmbuf_mtod(mbuf, uint8_t *);
		if (mode == MIF_MODE_IP)
			mif_l2_write(to, &queue->l2, first[i]);
		if (lending == NULL || lengths[i] < lending->from)
			mif_copy(to + l2, from[i], lengths[i]);
		else if (mode == MIF_MODE_IP)
			mif_lend_behind_l2(queue, end->loans, (uint16_t)(end->cursor + i), mbuf,
					behind[--behind_count], from[i], lengths[i], lending);
		else
			mif_lend(queue, end->loans, (uint16_t)(end->cursor + i), mbuf, from[i],
					lengths[i], lending);
	}
	mif_rx_release(end, count, role);
	mif_count(&queue->counters.packets, count);
	mif_count(&queue->counters.bytes, bytes);
	if (lending != NULL)
		mif_lend_note(queue, mbufs, count, lending, lent_before, mode);
	return true;
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
		taken = mif_rx_take_mixed(queue, end, &mbufs[done], (uint16_t)part, &ready, role,
				mode, lending);
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
	uint32_t ready = mif_rx_lag(end, mif_rx_ready(queue, end, end->size));
	const uint16_t before = end->cursor;
	uint16_t done;

	if (ready == 0)
		return 0;
	done = take(queue, end, mbufs, count, ready, kind.role, kind.mode, NULL);
	mif_rx_lag_took(end, done);
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
	ready = mif_rx_lag(end, mif_lend_ready(queue, end));
	if (ready == 0)
		return 0;
	lending.stamp = mif_lend_stamp();
	done = take(queue, end, mbufs, count, ready, MIF_SERVER, kind.mode,
			kind.secondary ? NULL : &lending);
	mif_rx_lag_took(end, done);
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

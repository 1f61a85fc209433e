/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <ethdev_driver.h>
#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <rte_cycles.h>
#include <rte_mbuf.h>

#include "memif_burst.h"
#include "memif_copy.h"
#include "memif_ctrl.h"
#include "memif_desc.h"
#include "memif_ethdev.h"
#include "memif_ip.h"
#include "memif_queue.h"
#include "memif_ring.h"
#include "memif_tx.h"
#include "memif_tx_plain.h"

/* Beside a count of packets: the burst ends with them. */
#define LAST_PUT (UINT32_C(1) << 31)

/*
 * A client's free slots: those that the server has emptied. It is asked only when too few are
 * known.
 */
static __rte_always_inline uint32_t
client_slots(struct mif_queue *queue, struct mif_ring_end *end, uint32_t wanted)
{
	uint32_t filled = mif_ring_span(end->limit, end->cursor);
	uint16_t tail;

	if (end->size - filled >= wanted)
		return end->size - filled;
	tail = mif_ring_peek(end->peer_index);
	if (unlikely(mif_ring_span(end->limit, tail) > filled)) {
		mif_tx_bad_index(queue, end);
		return end->size - filled;
	}
	end->limit = tail;
	return end->size - mif_ring_span(tail, end->cursor);
}

/* A server's free slots: those that the client has posted. */
static __rte_always_inline uint32_t
server_slots(struct mif_queue *queue, struct mif_ring_end *end, uint32_t wanted)
{
	uint32_t known = mif_ring_span(end->cursor, end->limit);
	uint16_t head;

	if (known >= wanted)
		return known;
	head = mif_ring_peek(end->peer_index);
	if (unlikely(mif_ring_span(end->cursor, head) > end->size)) {
		mif_tx_bad_index(queue, end);
		return known;
	}
	end->posted += mif_ring_span(end->limit, head);
	end->limit = head;
	return mif_ring_span(end->cursor, head);
}

static __rte_always_inline uint32_t
free_slots(struct mif_queue *queue, struct mif_ring_end *end, uint32_t wanted,
		const enum mif_role role)
{
	return role == MIF_CLIENT ? client_slots(queue, end, wanted) :
				    server_slots(queue, end, wanted);
}

/* Is the ring still left alone, after it was full? Counted as if it were full. */
static __rte_noinline bool
rests(struct mif_queue *queue, struct mif_ring_end *end, enum mif_role role)
{
	if (!mif_rest_goes_on(&end->rest, free_slots(queue, end, end->size, role), rte_rdtsc))
		return false;
	mif_count(&queue->counters.ring_full, 1);
	return true;
}

/* A client that posts a buffer outside its regions gets it back, empty, and those before it. */
static void
skip_slots(struct mif_queue *queue, struct mif_ring_end *end, uint32_t count)
{
	uint32_t slot;

	for (uint32_t i = 0; i < count; i++) {
		slot = end->cursor & end->mask;
		mif_desc_write(&end->desc[slot], (struct mif_desc){ 0 });
		mif_ring_end_advance(end, 1);
	}
	mif_queue_bad_desc(queue, end->common);
}

/*
 * Take copies of as many posted descriptors as hold so many bytes.
 *
 * Returns their number; more than free when they do not suffice; 0 when a bad one was skipped.
 */
static uint32_t
pick_slots(struct mif_queue *queue, struct mif_ring_end *end, uint64_t length, uint32_t free)
{
	uint64_t room = 0;
	uint32_t slots = 0;
	struct mif_desc desc;

	while (room < length) {
		if (slots == free)
			return free + 1;
		desc = mif_desc_read(&end->desc[(end->cursor + slots) & end->mask]);
		if (!mif_desc_ok(end->common->regions, end->common->region_count, desc)) {
			skip_slots(queue, end, slots + 1);
			return 0;
		}
		end->picked[slots++] = desc;
		room += desc.length;
	}
	return slots;
}

/* Can the ring never hold it? A server knows only when every slot has been posted. */
static bool
never_fits(const struct mif_ring_end *end, uint64_t length, uint32_t free, const enum mif_role role)
{
	return role == MIF_CLIENT ? length > end->capacity : free == end->size;
}

/* What became of a packet. */
enum put_result {
	PUT_DONE, /* sent or dropped; the next one, please */
	PUT_LAST, /* dropped after a look at every slot: no more in this burst */
	PUT_WAIT, /* has to wait */
};

/*
 * Put one packet of any kind: all of it or nothing.
 *
 * A burst skips bad slots once, and looks at every slot once: a client that goes on posting such
 * buffers must not keep us here.
 */
static __rte_always_inline enum put_result
put_any(struct mif_queue *queue, struct mif_ring_end *end, const struct rte_mbuf *mbuf,
		const enum mif_role role, const enum mif_mode mode)
{
	const uint32_t skipped = mode == MIF_MODE_IP ? mif_l2_length_of(mbuf) : 0;
	uint64_t length = mif_tx_length(mbuf);
	uint32_t free, slots;

	if (length == 0) {
		mif_count(&queue->counters.empty, 1);
		return PUT_DONE;
	}
	if (length > MIF_PACKET_MAX) {
		mif_count(&queue->counters.too_long, 1);
		return PUT_DONE;
	}
	if (mode == MIF_MODE_IP && skipped == 0) {
		mif_count(&queue->counters.not_ip, 1);
		return PUT_DONE;
	}
	length -= skipped;
	if (role == MIF_CLIENT) {
		free = client_slots(queue, end, end->size);
		slots = mif_tx_own_slots(end, length, free);
	} else {
		free = server_slots(queue, end, end->size);
		slots = pick_slots(queue, end, length, free);
	}
	if (slots == 0)
		return PUT_WAIT;
	if (slots > free) {
		if (!never_fits(end, length, free, role))
			return PUT_WAIT;
		mif_count(&queue->counters.too_long, 1);
		return PUT_LAST;
	}
	mif_tx_copy(end, mbuf, skipped, length, 0, role);
	mif_count(&queue->counters.packets, 1);
	mif_count(&queue->counters.bytes, skipped + length);
	return PUT_DONE;
}

/* Put up to count packets of any kind; returns how many are done with, sent or dropped. */
static __rte_always_inline uint32_t
put_each(struct mif_queue *queue, struct mif_ring_end *end, struct rte_mbuf **mbufs, uint32_t count,
		const enum mif_role role, const enum mif_mode mode)
{
	enum put_result result = PUT_DONE;
	uint32_t done = 0;

	while (done < count && result == PUT_DONE) {
		result = put_any(queue, end, mbufs[done], role, mode);
		done += result != PUT_WAIT;
	}
	return result == PUT_LAST ? done | LAST_PUT : done;
}

/* Role and mode are constants in the inlined bodies, so they are tested once for all packets. */
static __rte_noinline uint32_t
put_mixed(struct mif_queue *queue, struct mif_ring_end *end, struct rte_mbuf **mbufs,
		uint32_t count, enum mif_role role, enum mif_mode mode)
{
	if (role == MIF_CLIENT && mode == MIF_MODE_ETHERNET)
		return put_each(queue, end, mbufs, count, MIF_CLIENT, MIF_MODE_ETHERNET);
	if (role == MIF_CLIENT)
		return put_each(queue, end, mbufs, count, MIF_CLIENT, MIF_MODE_IP);
	if (mode == MIF_MODE_ETHERNET)
		return put_each(queue, end, mbufs, count, MIF_SERVER, MIF_MODE_ETHERNET);
	return put_each(queue, end, mbufs, count, MIF_SERVER, MIF_MODE_IP);
}

static __rte_always_inline uint16_t
transmit(struct mif_queue *queue, struct mif_ring_end *end, struct rte_mbuf **mbufs, uint16_t count,
		const struct mif_burst_kind kind)
{
	const enum mif_role role = kind.role;
	const enum mif_mode mode = kind.mode;
	const uint16_t before = end->cursor;
	uint32_t done = 0;
	uint32_t part, free, mixed;

	if (unlikely(mif_rest_is_on(&end->rest)) && rests(queue, end, role))
		return 0;
	while (done < count) {
		part = RTE_MIN((uint32_t)(count - done), (uint32_t)MIF_TX_CHUNK);
		free = free_slots(queue, end, part, role);
		part = RTE_MIN(part, free);
		if (part != 0 &&
				likely(mif_tx_put_plain(queue, end, &mbufs[done], part, role,
						mode))) {
			done += part;
			continue;
		}
		mixed = put_mixed(queue, end, &mbufs[done], RTE_MAX(part, 1u), role, mode);
		done += mixed & ~LAST_PUT;
		if (mixed < RTE_MAX(part, 1u) || (mixed & LAST_PUT) != 0)
			break;
	}
	if (done < count) {
		mif_count(&queue->counters.ring_full, 1);
		mif_rest_full(&end->rest, count, rte_rdtsc);
	}
	if (end->cursor != before)
		mif_tx_publish(end);
	if (mif_tx_fetches_ahead(end, role))
		mif_tx_prefetch_next(end, count);
	mif_tx_free(mbufs, (uint16_t)done);
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
tx_server(void *queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return mif_tx_burst(queue, mbufs, count, transmit,
			(struct mif_burst_kind){ MIF_SERVER, MIF_MODE_ETHERNET, false });
}

static uint16_t
tx_server_ip(void *queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return mif_tx_burst(queue, mbufs, count, transmit,
			(struct mif_burst_kind){ MIF_SERVER, MIF_MODE_IP, false });
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

static uint16_t
tx_server_secondary(void *queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return mif_tx_burst(queue, mbufs, count, transmit,
			(struct mif_burst_kind){ MIF_SERVER, MIF_MODE_ETHERNET, true });
}

static uint16_t
tx_server_ip_secondary(void *queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return mif_tx_burst(queue, mbufs, count, transmit,
			(struct mif_burst_kind){ MIF_SERVER, MIF_MODE_IP, true });
}

const struct mif_tx_bursts MIF_BURST_NAME(tx, MIF_VARIANT) = {
	.burst[MIF_MODE_ETHERNET] = { [MIF_CLIENT] = tx_client, [MIF_SERVER] = tx_server },
	.burst[MIF_MODE_IP] = { [MIF_CLIENT] = tx_client_ip, [MIF_SERVER] = tx_server_ip },
	.secondary[MIF_MODE_ETHERNET] = { [MIF_CLIENT] = tx_client_secondary,
			[MIF_SERVER] = tx_server_secondary },
	.secondary[MIF_MODE_IP] = { [MIF_CLIENT] = tx_client_ip_secondary,
			[MIF_SERVER] = tx_server_ip_secondary },
};

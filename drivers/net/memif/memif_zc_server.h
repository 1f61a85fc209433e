/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * Zero-copy receive of a server: long packets go up where the client has written them, in mbufs with
 * an external buffer. Their slots are lent, see memif_loan.h, and go back when the mbufs are freed.
 * What a connection has mapped stays until the last such mbuf is freed.
 */

#ifndef MEMIF_ZC_SERVER_H
#define MEMIF_ZC_SERVER_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <rte_branch_prediction.h>
#include <rte_cycles.h>
#include <rte_ether.h>
#include <rte_mbuf.h>

#include "memif_loan.h"
#include "memif_queue.h"
#include "memif_rx.h"

struct mif_link;

/**
 * Bytes from which on a packet is lent. Measured (dpdk-memif-perf, a client of this driver that
 * copies, two cores of a Sapphire Rapids guest), Mpps copied / lent, where the receiver
 *
 *     bytes                64        128       256       384       512       768      1518
 *     reads some bytes  27.5/27.1 22.0/21.9 16.4/16.1 13.1/15.2 11.0/13.4  7.6/11.9  4.2/8.7
 *     reads none        26.6/43.6 22.2/44.3 17.1/43.8 13.5/36.6 11.1/32.5  7.5/26.4  4.2/16.6
 *
 * At 64 and 128 bytes the client is the limit, and the receiver has less time left when it lends.
 * It pays from about 300 bytes on; a margin, as a packet that is kept holds up the slots behind it.
 */
#define MIF_LEND_FROM 512u

/** As many slots of a ring may be lent or behind one that is; beyond that, packets are copied. */
#define MIF_LEND_MARK(size) ((size) - (size) / 4)

/** A length that none has: nothing is lent. */
#define MIF_LEND_NOTHING UINT32_MAX

/** Of a slot's loan: what its mbuf points to. */
static_assert(sizeof(struct rte_mbuf_ext_shared_info) <= sizeof(((struct mif_loan *)0)->room),
		"a loan has room for what DPDK wants to know of an external buffer");

/** What one burst lends. */
struct mif_lending {
	uint32_t from;	/**< bytes; shorter packets are copied */
	uint32_t slots; /**< lent so far */
	uint32_t stamp; /**< now, see mif_lend_stamp() */
};

/** Now, in about half milliseconds: loans note it. */
static inline uint32_t
mif_lend_stamp(void)
{
	return (uint32_t)(rte_rdtsc() >> 20);
}

static __rte_always_inline struct rte_mbuf_ext_shared_info *
mif_lend_info(struct mif_loan *slot)
{
	return (struct rte_mbuf_ext_shared_info *)(void *)slot->room;
}

/**
 * Let an mbuf fresh from its pool point to a packet, or a piece of one, in the slot with this
 * index. There is no room in it beside the packet: what lies around it may be another one, or not
 * of the client's buffers at all.
 */
static __rte_always_inline void
mif_lend(const struct mif_queue *queue, struct mif_loans *loans, uint16_t index,
		struct rte_mbuf *mbuf, uint8_t *data, uint32_t length, struct mif_lending *lending)
{
	struct mif_loan *slot = &loans->slots[index & loans->mask];
	struct rte_mbuf_ext_shared_info *info = mif_lend_info(slot);

	rte_mbuf_ext_refcnt_set(info, 1);
	mif_loan_begin(loans, slot);
	__atomic_store_n(&loans->since[index & loans->mask], lending->stamp, __ATOMIC_RELAXED);
	mbuf->buf_addr = data;
	rte_mbuf_iova_set(mbuf, (rte_iova_t)(uintptr_t)data | queue->no_iova);
	mbuf->buf_len = (uint16_t)length;
	mbuf->shinfo = info;
	mbuf->data_off = 0;
	mbuf->ol_flags = queue->rearm[1] | RTE_MBUF_F_EXTERNAL;
	lending->slots++;
}

/**
 * Slots that the client has handed over. It cannot have handed over again those that it has not got
 * back: an mbuf may point to them.
 */
static __rte_always_inline uint32_t
mif_lend_ready(struct mif_queue *queue, const struct mif_ring_end *end)
{
	/* In this order: a slot that it got back meanwhile may be among those handed over. */
	uint16_t head = mif_ring_peek(end->peer_index);
	uint32_t ready = mif_ring_span(end->cursor, head);

	if (likely(ready + mif_loans_out(end->loans) <= end->size))
		return ready;
	mif_count(&queue->counters.bad_index, 1);
	mif_queue_fault(end->common, MIF_FAULT_INDEX);
	return 0;
}

/**
 * Slots that may be lent from the cursor on.
 *
 * One mbuf that is held for long stops its ring after as many slots as there are, mark or not; but
 * what is copied beyond the mark is not held with it.
 */
static __rte_always_inline uint32_t
mif_lend_allowance(const struct mif_ring_end *end)
{
	uint16_t given = atomic_load_explicit(&end->loans->given, memory_order_relaxed);
	uint32_t out = mif_ring_span(given, end->cursor);
	uint32_t mark = MIF_LEND_MARK(end->size);

	return out < mark ? mark - out : 0;
}

/** Bytes that a packet of this length may have at most, in one mbuf. */
static __rte_always_inline uint32_t
mif_lend_room(const struct mif_queue *queue, uint32_t length, const struct mif_lending *lending)
{
	return lending != NULL && length >= lending->from ? queue->lend_most : queue->room;
}

/** Of so many slots, how many to take at once: either they may all be lent, or none. */
static __rte_always_inline uint32_t
mif_lend_part_of(const struct mif_queue *queue, const struct mif_ring_end *end, uint32_t slots,
		struct mif_lending *lending)
{
	uint32_t allowance = mif_lend_allowance(end);

	lending->from = allowance != 0 ? queue->lend_from : MIF_LEND_NOTHING;
	return allowance != 0 ? RTE_MIN(slots, allowance) : slots;
}

/**
 * Count how many of these packets are lent, and how many are not only because too many are already.
 *
 * @param lent_before  slots that were lent before these packets
 */
static __rte_always_inline void
mif_lend_note(struct mif_queue *queue, struct rte_mbuf *const *mbufs, uint32_t count,
		const struct mif_lending *lending, uint32_t lent_before, const enum mif_mode mode)
{
	uint32_t over_mark = 0;

	mif_count(&queue->counters.lent, lending->slots - lent_before);
	if (likely(lending->from == queue->lend_from))
		return;
	for (uint32_t i = 0; i < count; i++)
		over_mark += mbufs[i]->pkt_len - mif_l2_added(mode) >= queue->lend_from;
	mif_count(&queue->counters.over_mark, over_mark);
}

/**
 * mode=ip: the same as mif_lend() for a whole packet, behind an mbuf for the header alone. What lies
 * before the packet is the client's: the header must not be written there.
 *
 * @param head    of which data_len and the link to the other are set
 * @param behind  fresh from its pool
 */
static __rte_always_inline void
mif_lend_behind_l2(const struct mif_queue *queue, struct mif_loans *loans, uint16_t index,
		struct rte_mbuf *head, struct rte_mbuf *behind, uint8_t *data, uint32_t length,
		struct mif_lending *lending)
{
	mif_rx_init_mbuf(queue, behind, length);
	mif_lend(queue, loans, index, behind, data, length, lending);
	head->data_len = RTE_ETHER_HDR_LEN;
	head->nb_segs = 2;
	head->next = behind;
}

/**
 * Prepare a receive queue: its pool is set. Packets are copied if mbufs of the pool cannot point
 * elsewhere, or if in ip mode their header cannot have an mbuf of its own.
 *
 * @param who  name of the port, for the log
 */
void mif_lend_setup_queue(struct mif_queue *queue, enum mif_mode mode, const char *who);

/**
 * Make the loans of a receive ring.
 *
 * @param socket  NUMA node for them
 * @return 0 or -ENOMEM
 */
int mif_lend_equip(struct mif_ring_end *end, struct mif_link *link, int socket);

/** These ring ends are to be a queue's, which is set up and whose gate is shut. */
void mif_lend_attach(struct mif_ring_end *ends, const struct mif_queue *queue);

/** Give back what mif_lend_equip() made, if it did; no slot is lent. */
void mif_lend_release(struct mif_ring_end *end);

/** The link's gates are shut; mif_gate_barrier() must follow. */
void mif_lend_end(struct mif_link *link);

/** After the barrier: does no thread that frees an mbuf use the link's rings any more? */
bool mif_lend_idle(struct mif_link *link);

/**
 * Its owner has no more use for the link, nor has any burst.
 *
 * @return true if no mbuf has either, so it can be freed; else it frees itself with the last one
 */
bool mif_lend_part(struct mif_link *link);

/** Receive interrupts of a queue with these ring ends are to be enabled: after that, whoever frees
 * an mbuf gives slots back. Returns false when the receiver has to do it once more itself. */
bool mif_lend_sleep(struct mif_ring_end *ends);

/** They are disabled. */
void mif_lend_wake(struct mif_ring_end *ends);

/** Slots of a ring whose packets the application has now; of a connection that is there. */
uint32_t mif_lend_count(const struct mif_ring_end *end);

/** Milliseconds for which it has had the oldest of them, 0 without. */
uint64_t mif_lend_oldest_ms(const struct mif_ring_end *end);

#endif /* MEMIF_ZC_SERVER_H */

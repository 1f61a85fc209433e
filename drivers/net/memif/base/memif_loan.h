/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * Slots of a receive ring that are lent to the application: it reads a packet where the client has
 * written it, and the slot goes back to the client when the packet is freed, in the ring's order.
 *
 * The receiver lends and gives back. Loans end on any thread, in any order; that costs a store and a
 * load. Only when somebody wants to hear of it (attention) is there more to do: the receiver sleeps,
 * so whoever ends a loan gives slots back for it; or the connection is over, and goes with the last
 * loan. Who sets attention runs mif_gate_barrier() then and looks at the loans: either it sees that a
 * loan has ended, or the one who ends it sees attention.
 *
 * A struct mif_loans is never freed, only used again for another ring, as ending a loan looks at it
 * after the loan has ended. All else goes with the connection.
 */

#ifndef MEMIF_LOAN_H
#define MEMIF_LOAN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memif_ring.h"

/** @name Bits of attention
 * @{
 */
#define MIF_LOANS_FENCE 1u  /**< no membarrier(2): who ends a loan pays for the fence */
#define MIF_LOANS_ASLEEP 2u /**< the receiver sleeps */
#define MIF_LOANS_ENDED 4u  /**< the connection is over */
/** @} */

struct mif_loans;

/** A slot, and the room that its user needs for it. */
struct mif_loan {
	_Atomic(struct mif_loans *) lender; /**< NULL: not lent */
	uint64_t room[3];
};

/** The loans of one ring. */
struct mif_loans {
	atomic_uint attention; /**< above; 0 in the usual case */
	atomic_uint visitors; /**< threads that end loans and may use what goes with the connection */
	struct mif_loan *slots; /**< as many as the ring has */
	uint32_t *since;	/**< when each slot was lent; the user's unit */
	uint32_t mask;		/**< slots - 1 */
	bool locked;		/**< several threads may give back: the lock is needed */
	uint16_t *place;	/**< of the index in shared memory */
	void *owner;		/**< the connection; its user's lock guards it */
	uint32_t seen;		/**< ended: slots before it are back; likewise */
	struct mif_loans *next; /**< for lists of the user */
	_Alignas(64) atomic_uint lock;
	_Atomic(uint16_t) given; /**< slots before it are the client's; with the lock, if locked */
	_Atomic(uint16_t) taken; /**< slots before it have been received; the receiver's */
	_Atomic(uint16_t) lent;	 /**< from it on none is lent, up to taken; the receiver's */
};

/** Begin anew, for a ring whose first slot is number 0. Its slots are all zero. */
static inline void
mif_loans_init(struct mif_loans *loans, struct mif_loan *slots, uint32_t count, uint16_t *place,
		bool fence)
{
	loans->slots = slots;
	loans->mask = count - 1;
	loans->place = place;
	loans->locked = false;
	loans->seen = 0;
	atomic_store_explicit(&loans->lock, 0, memory_order_relaxed);
	atomic_store_explicit(&loans->given, 0, memory_order_relaxed);
	atomic_store_explicit(&loans->taken, 0, memory_order_relaxed);
	atomic_store_explicit(&loans->lent, 0, memory_order_relaxed);
	/*
	 * Release: pairs with the acquire in mif_loans_enter(), of a thread that ended a loan of
	 * the connection before and is late.
	 */
	atomic_store_explicit(&loans->attention, fence ? MIF_LOANS_FENCE : 0, memory_order_release);
}

/** Lend a slot that the receiver has not passed yet; mif_loans_taken() makes it known. */
static inline void
mif_loan_begin(struct mif_loans *loans, struct mif_loan *slot)
{
	atomic_store_explicit(&slot->lender, loans, memory_order_relaxed);
}

/**
 * A loan is over; nothing of its slot may be used any more.
 *
 * Release: pairs with the acquire in mif_loan_over(), so all that was read from the slot, or written
 * to it, is done before the client gets it.
 *
 * Between the store and the load stands the barrier of who sets attention.
 *
 * @param attention  gets what is to be done; if it is not 0, see mif_loans_enter()
 * @return where the slot belonged to
 */
static inline struct mif_loans *
mif_loan_end(struct mif_loan *slot, unsigned int *attention)
{
	struct mif_loans *loans = atomic_load_explicit(&slot->lender, memory_order_relaxed);

	atomic_store_explicit(&slot->lender, NULL, memory_order_release);
	atomic_signal_fence(memory_order_seq_cst);
	*attention = atomic_load_explicit(&loans->attention, memory_order_relaxed);
	return loans;
}

/**
 * Is this slot back, or has it never been lent? Acquire: pairs with the release in mif_loan_end().
 */
static inline bool
mif_loan_over(const struct mif_loan *slot)
{
	return atomic_load_explicit(&slot->lender, memory_order_acquire) == NULL;
}

/** Slots between the client's and the receiver's: lent, or behind one that is. */
static inline uint16_t
mif_loans_out(const struct mif_loans *loans)
{
	return mif_ring_span(atomic_load_explicit(&loans->given, memory_order_relaxed),
			atomic_load_explicit(&loans->taken, memory_order_relaxed));
}

/**
 * The receiver has passed the slots before this one. mif_loans_give_back() should follow.
 *
 * Release: pairs with the acquire in mif_loans_step(), so whoever gives back knows which of these
 * slots are lent.
 *
 * @param lent  some of them are
 */
static inline void
mif_loans_taken(struct mif_loans *loans, uint16_t taken, bool lent)
{
	uint16_t given = atomic_load_explicit(&loans->given, memory_order_relaxed);
	uint16_t last = atomic_load_explicit(&loans->lent, memory_order_relaxed);

	if (lent)
		atomic_store_explicit(&loans->lent, taken, memory_order_relaxed);
	else if ((int16_t)(given - last) >= 0) /* keep up, or the difference overflows one day */
		atomic_store_explicit(&loans->lent, given, memory_order_relaxed);
	atomic_store_explicit(&loans->taken, taken, memory_order_release);
}

/**
 * Give the client the slots that are back, up to the first one that is not. One thread at a time.
 */
static inline void
mif_loans_step(struct mif_loans *loans)
{
	/* Acquire: pairs with the release in mif_loans_taken(). */
	const uint16_t taken = atomic_load_explicit(&loans->taken, memory_order_acquire);
	const uint16_t last = atomic_load_explicit(&loans->lent, memory_order_relaxed);
	const uint16_t before = atomic_load_explicit(&loans->given, memory_order_relaxed);
	uint16_t given = before;

	while (given != taken && (int16_t)(last - given) > 0 &&
			mif_loan_over(&loans->slots[given & loans->mask]))
		given++;
	if ((int16_t)(last - given) <= 0)
		given = taken;
	if (given == before)
		return;
	atomic_store_explicit(&loans->given, given, memory_order_relaxed);
	mif_ring_publish(loans->place, given);
}

/** Is the next slot to give back there? */
static inline bool
mif_loans_pending(const struct mif_loans *loans)
{
	uint16_t given = atomic_load_explicit(&loans->given, memory_order_relaxed);

	return mif_loans_out(loans) != 0 && mif_loan_over(&loans->slots[given & loans->mask]);
}

/**
 * Give the client the slots that are back. Never waits.
 *
 * With a lock: who does not get it may leave, as the holder looks again. Fence: each side has one
 * between its store (the slot is back; the lock is free) and its load (of the lock; of the slot),
 * so one of the two sees the other's.
 */
static inline void
mif_loans_give_back(struct mif_loans *loans)
{
	if (!loans->locked) {
		mif_loans_step(loans);
		return;
	}
	do {
		atomic_thread_fence(memory_order_seq_cst);
		if (atomic_exchange_explicit(&loans->lock, 1, memory_order_acquire) != 0)
			return;
		mif_loans_step(loans);
		atomic_store_explicit(&loans->lock, 0, memory_order_release);
		atomic_thread_fence(memory_order_seq_cst);
	} while (mif_loans_pending(loans));
}

/** The receiver is going to sleep: mif_gate_barrier() and mif_loans_give_back() must follow. */
static inline void
mif_loans_sleep(struct mif_loans *loans)
{
	atomic_fetch_or_explicit(&loans->attention, MIF_LOANS_ASLEEP, memory_order_relaxed);
}

/** It has woken up, and gives slots back itself. */
static inline void
mif_loans_wake(struct mif_loans *loans)
{
	atomic_fetch_and_explicit(&loans->attention, ~MIF_LOANS_ASLEEP, memory_order_relaxed);
}

/**
 * The connection is over, its receiver receives no more. After mif_gate_barrier(), and when
 * mif_loans_idle() says so, the ring may go; the slots after mif_loans_all_over().
 */
static inline void
mif_loans_end(struct mif_loans *loans)
{
	atomic_fetch_or_explicit(&loans->attention, MIF_LOANS_ENDED, memory_order_relaxed);
}

/**
 * A thread has ended a loan and seen attention: what is there to do? mif_loans_leave() must follow.
 *
 * Fence: pairs with the one in mif_gate_barrier(), for the look at attention and for the count of
 * visitors.
 *
 * @return attention; the ring and the slots may be used unless MIF_LOANS_ENDED is set
 */
static inline unsigned int
mif_loans_enter(struct mif_loans *loans)
{
	atomic_fetch_add_explicit(&loans->visitors, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	/* Acquire: pairs with the release in mif_loans_init(). */
	return atomic_load_explicit(&loans->attention, memory_order_acquire);
}

/** Release: pairs with the acquire in mif_loans_idle(). */
static inline void
mif_loans_leave(struct mif_loans *loans)
{
	atomic_fetch_sub_explicit(&loans->visitors, 1, memory_order_release);
}

/**
 * Ended, and after the barrier: does nobody use the ring any more? Acquire: see mif_loans_leave().
 */
static inline bool
mif_loans_idle(struct mif_loans *loans)
{
	return atomic_load_explicit(&loans->visitors, memory_order_acquire) == 0;
}

/** Ended: are all slots back? One thread at a time; each slot is looked at until it is back. */
static inline bool
mif_loans_all_over(struct mif_loans *loans)
{
	while (loans->seen <= loans->mask && mif_loan_over(&loans->slots[loans->seen]))
		loans->seen++;
	return loans->seen > loans->mask;
}

#endif /* MEMIF_LOAN_H */

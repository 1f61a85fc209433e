/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * The gate between the bursts of one queue and the control thread: a burst never touches what the
 * control thread has taken back.
 *
 * The burst's side is two plain stores and a load. The control thread pays for it: it closes the
 * gate, runs membarrier(2), and reclaims what stood behind the gate when it has seen no burst
 * inside. Why this suffices: the barrier acts as a full fence on every running thread of the
 * process. A burst whose store of `busy` came before it is seen inside; a burst whose store comes
 * after it loads the closed gate. It never waits for a burst: the caller looks again later.
 *
 * A gate may lie in memory that several processes share. The control thread is in one of them, the
 * primary; its barrier then reaches the threads of the others too. `busy` says which process is
 * inside, so that the gate of one that died can be set right.
 */

#ifndef MEMIF_GATE_H
#define MEMIF_GATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** What `busy` says of the primary process; the others have numbers above it, each a new one. */
#define MIF_GATE_PRIMARY 1u

/** One per queue; the burst's thread writes busy, the control thread the rest. */
struct mif_gate {
	_Atomic(void *) behind; /**< what a burst may use; NULL when closed */
	atomic_uint busy;	/**< number of the process whose burst is inside, or 0 */
	bool fence;		/**< no membarrier(2): the burst pays for the fence itself */
};

/**
 * Register this process for membarrier(2). Before the first mif_gate_init().
 *
 * @return 0, or a negative errno; then gates use a fence per burst
 */
int mif_gate_setup(void);

/** Is there no membarrier(2), so whoever would rely on mif_gate_barrier() needs a fence? */
bool mif_gate_needs_fence(void);

/**
 * From here on the barrier reaches other processes too, those that have called mif_gate_join().
 *
 * @return 0, or a negative errno; then bursts of other processes have to use a fence each
 */
int mif_gate_share(void);

/**
 * Another process: let the primary's barrier reach its threads.
 *
 * @return 0, or a negative errno; then its bursts have to use a fence each
 */
int mif_gate_join(void);

/** A closed gate. */
void mif_gate_init(struct mif_gate *gate);

/** Let bursts see what is behind. Release: pairs with the acquire in mif_gate_enter(). */
static inline void
mif_gate_open(struct mif_gate *gate, void *behind)
{
	atomic_store_explicit(&gate->behind, behind, memory_order_release);
}

/**
 * No burst that begins after mif_gate_barrier() passes any more; one may still be inside.
 *
 * @return what was behind
 */
static inline void *
mif_gate_close(struct mif_gate *gate)
{
	return atomic_exchange_explicit(&gate->behind, NULL, memory_order_relaxed);
}

/**
 * After closing one gate or several, before mif_gate_idle(). A system call.
 *
 * @return 0, or a negative errno: then nothing may be reclaimed before another one has succeeded
 */
int mif_gate_barrier(void);

/**
 * Closed, and after the barrier: is no burst inside? Once true it stays true for what was behind.
 *
 * Acquire: pairs with the release in mif_gate_leave(), so all that the burst did with it is over.
 */
static inline bool
mif_gate_idle(struct mif_gate *gate)
{
	return atomic_load_explicit(&gate->busy, memory_order_acquire) == 0;
}

/**
 * A process is gone, and was perhaps killed in a burst: that burst is over.
 *
 * @return whether it was
 */
static inline bool
mif_gate_heal(struct mif_gate *gate, uint32_t process)
{
	return atomic_compare_exchange_strong(&gate->busy, &process, 0);
}

/**
 * A burst of a process begins. mif_gate_leave() must follow, whatever is returned.
 *
 * Acquire: pairs with the release in mif_gate_open(). Between the store and the load stands the
 * control thread's barrier, or where there is none, a fence of our own.
 *
 * @param process  its number, not 0
 * @param fence    no barrier reaches it
 * @return what is behind, or NULL
 */
static inline void *
mif_gate_enter_as(struct mif_gate *gate, uint32_t process, bool fence)
{
	atomic_store_explicit(&gate->busy, process, memory_order_relaxed);
	if (fence)
		atomic_thread_fence(memory_order_seq_cst);
	else
		atomic_signal_fence(memory_order_seq_cst);
	return atomic_load_explicit(&gate->behind, memory_order_acquire);
}

/** A burst of the primary process begins. */
static inline void *
mif_gate_enter(struct mif_gate *gate)
{
	return mif_gate_enter_as(gate, MIF_GATE_PRIMARY, gate->fence);
}

/** A burst ends. Release: pairs with the acquire in mif_gate_idle(). */
static inline void
mif_gate_leave(struct mif_gate *gate)
{
	atomic_store_explicit(&gate->busy, 0, memory_order_release);
}

#endif /* MEMIF_GATE_H */

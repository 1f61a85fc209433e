/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * A spinlock in memory that several processes share. It knows which process holds it, so that the
 * lock of one that died can be taken from it.
 */

#ifndef MEMIF_LOCK_H
#define MEMIF_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/** All zero when nobody has it. */
struct mif_lock {
	atomic_uint holder; /**< number of a process, as in a gate's busy; or 0 */
};

/** Let the other hardware thread of this core have it meanwhile. */
static inline void
mif_lock_pause(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#endif
}

/**
 * Acquire: pairs with the release in mif_lock_give().
 *
 * @param process  number of the caller's process, not 0
 */
static inline void
mif_lock_take(struct mif_lock *lock, uint32_t process)
{
	uint32_t nobody = 0;

	while (!atomic_compare_exchange_weak_explicit(&lock->holder, &nobody, process,
			memory_order_acquire, memory_order_relaxed)) {
		while (atomic_load_explicit(&lock->holder, memory_order_relaxed) != 0)
			mif_lock_pause();
		nobody = 0;
	}
}

/** Release: pairs with the acquire in mif_lock_take(). */
static inline void
mif_lock_give(struct mif_lock *lock)
{
	atomic_store_explicit(&lock->holder, 0, memory_order_release);
}

/**
 * A process is gone: take from it what it held. Who gets the lock next may find what it guards half
 * done.
 *
 * @return whether it held the lock
 */
static inline bool
mif_lock_heal(struct mif_lock *lock, uint32_t process)
{
	return atomic_compare_exchange_strong(&lock->holder, &process, 0);
}

#endif /* MEMIF_LOCK_H */

/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * Surviving memory that a peer pulls away.
 *
 * A peer can cut its file short, or punch holes into huge pages, under our mapping; the next access
 * is a SIGBUS. While such mappings exist, a handler puts zero pages of our own in the place of the
 * mapping that faulted, and reports that the connection is broken. All other SIGBUS go to whoever had
 * the signal before.
 */

#ifndef MEMIF_GUARD_H
#define MEMIF_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#define MIF_GUARDS_MAX 16384 /**< guarded mappings of a process */

/** A mapping to guard. */
struct mif_guard {
	void *addr;
	uint64_t size;	    /**< bytes, whole pages */
	uint64_t page_size; /**< bytes; a whole number of them is replaced */
	uint32_t *fault;    /**< gets value when it is 0 */
	uint32_t value;
	int wake_fd; /**< an eventfd that gets one added then; non-blocking, not shared; or -1 */
};

/**
 * Guard a mapping. The first one installs the handler; each makes sure that it is in place, as
 * others may have put theirs over it.
 *
 * @return 0; -ENOSPC when there are MIF_GUARDS_MAX; a negative errno of sigaction(2)
 */
int mif_guard_add(const struct mif_guard *guard);

/**
 * Nobody is to be woken any more for the mapping that starts there; it stays guarded. The file may
 * be closed once mif_guard_idle() has said so. Nothing happens when it is not guarded.
 */
void mif_guard_silence(const void *addr);

/** Is no thread inside the handler, where it may use what was removed or silenced meanwhile? */
bool mif_guard_idle(void);

/** The mapping that starts there is about to go. Nothing happens when it is not guarded. */
void mif_guard_remove(const void *addr);

#endif /* MEMIF_GUARD_H */

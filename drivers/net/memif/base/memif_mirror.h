/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * A page at an address that lasts, which shows a page of shared memory while that is there.
 *
 * For who reads outside of any gate, such as a CPU that waits for a ring's index to change: what it was
 * told to look at may be read as long as the mirror is open, whatever became of the connection.
 * Showing another page replaces the one before, so any number of connections needs one page.
 */

#ifndef MEMIF_MIRROR_H
#define MEMIF_MIRROR_H

#include <stdbool.h>
#include <stdint.h>

/** All zero when it is not open. */
struct mif_mirror {
	uint8_t *page;
	bool shows;
	uint32_t fault; /**< for the guard; nobody asks, as the bursts see the same memory */
};

/**
 * Open it, with a page of zero bytes of its own.
 *
 * @return 0, or a negative errno
 */
int mif_mirror_open(struct mif_mirror *mirror);

/**
 * Show the page with this place, of a shared mapping of ordinary pages. It is guarded against being
 * pulled away.
 *
 * @return 0, or a negative errno: then it shows zero bytes
 */
int mif_mirror_show(struct mif_mirror *mirror, const void *place);

/** Show zero bytes again. */
void mif_mirror_hide(struct mif_mirror *mirror);

/** Where the mirror has this place, if it shows its page. */
void *mif_mirror_at(const struct mif_mirror *mirror, const void *place);

/** Does it show a page of shared memory? Any thread may ask. */
static inline bool
mif_mirror_shows(const struct mif_mirror *mirror)
{
	return __atomic_load_n(&mirror->shows, __ATOMIC_RELAXED);
}

/** Harmless if it is not open. */
void mif_mirror_close(struct mif_mirror *mirror);

#endif /* MEMIF_MIRROR_H */

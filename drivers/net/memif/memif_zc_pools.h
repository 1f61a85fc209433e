/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * Memory of packet pools that a zero-copy client may expose. The pools of other drivers' ports are
 * known from when a port of ours was started, and forgotten when they are freed.
 */

#ifndef MEMIF_ZC_POOLS_H
#define MEMIF_ZC_POOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <rte_ethdev.h>

/** A piece of a pool. */
struct mif_zc_chunk {
	uintptr_t addr;
	size_t length; /**< bytes */
};

/** Memory of pools, one piece behind the other. Zeroed, it is empty; the list is from malloc(). */
struct mif_zc_chunks {
	struct mif_zc_chunk *list;
	uint32_t count;
	uint32_t room;
	bool failed; /**< there was no memory for all of them */
};

static inline bool
mif_zc_chunk_overlaps(const struct mif_zc_chunk *chunk, uintptr_t addr, size_t length)
{
	return chunk->addr < addr + length && addr < chunk->addr + chunk->length;
}

/**
 * Have it noticed when a pool is freed.
 *
 * @param port  for the log
 * @return 0, or a negative errno after a log line
 */
int mif_zc_pools_watch(const char *port);

/**
 * Note the pools of all ports of the process, of any driver; those noted before are forgotten. On
 * the application's thread, as only that one may look at them.
 */
void mif_zc_pools_note(void);

/** EAL frees memory: forget what was noted of it. */
void mif_zc_pools_forget(uintptr_t addr, size_t length);

/** Add the pools of a memif port that is started, or is the caller's to look at. */
void mif_zc_pools_add_of(struct mif_zc_chunks *chunks, const struct rte_eth_dev *dev);

/** Add the pools that have been noted. */
void mif_zc_pools_add_noted(struct mif_zc_chunks *chunks);

#endif /* MEMIF_ZC_POOLS_H */

/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * Which of this process's memory a zero-copy client exposes to its server: the files of EAL behind
 * the receive pools of the process's ports, each a region of the connection.
 *
 * A region begins where its file does, as ADD_REGION has no offset. So the grain is a file: one page
 * by default, the pages of a whole list with --single-file-segments, all memory with --no-huge.
 */

#ifndef MEMIF_ZC_MEMORY_H
#define MEMIF_ZC_MEMORY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <rte_common.h>
#include <rte_ethdev.h>

#include "memif_desc.h"
#include "memif_region.h"
#include "memif_zc_pools.h"

/** From an address to the region it lies in. */
struct mif_zc_map {
	uintptr_t lowest; /**< start of the first cell */
	uint32_t shift;	  /**< log2 of the bytes of a cell; none is shared by two regions */
	uint32_t cells;
	uint8_t region[]; /**< of each cell, 0 for none; one cell more, of none, at the end */
};

/** What one connection exposes. */
struct mif_zc_memory {
	struct mif_zc_map *map;	      /**< in DPDK's memory, for bursts */
	struct mif_zc_chunks chunks;  /**< the port's own pools first */
	const struct mif_span *spans; /**< regions of the connection, those of its rings included */
	uint16_t first;		      /**< index of the first exposed one */
	uint16_t count;
	bool freed; /**< a pool's memory went away before the map was there */
	uint64_t bytes;
	uint64_t left_out; /**< bytes of pools that have no file, or did not fit */
	uint64_t page_size;
	TAILQ_ENTRY(mif_zc_memory) next;
};

/** Where a connection's regions are entered. */
struct mif_zc_regions {
	struct mif_region *regions; /**< by index; files are duplicates of EAL's, owned by these */
	struct mif_span *spans;	    /**< by index */
	uint16_t first;		    /**< free index */
	uint16_t max;		    /**< indices that the peer takes */
};

/**
 * A port starts: note the pools of all ports of the process, on the application's thread, and have
 * it noticed when their memory is freed.
 *
 * Says so in the log if EAL has no file for the memory of this port's own pools.
 *
 * @return 0, or a negative errno after a log line
 */
int mif_zc_memory_watch(const struct rte_eth_dev *dev);

/**
 * Expose memory: of the queues of this port first, then of the other memif ports that are started,
 * then of the noted pools. Control lock held.
 *
 * @return what is exposed, perhaps nothing; NULL when there is no memory
 */
struct mif_zc_memory *mif_zc_memory_create(const struct rte_eth_dev *dev,
		const struct mif_zc_regions *to);

/** The end of that; the regions are the caller's. Harmless on NULL. */
void mif_zc_memory_free(struct mif_zc_memory *memory);

/** Say what is exposed. */
void mif_zc_memory_log(const struct mif_zc_memory *memory, const char *port);

/**
 * Find bytes in the exposed regions.
 *
 * @param regions  of the connection
 * @param desc     gets region, offset and length, and no flags
 * @return true if all of them lie in one region
 */
static __rte_always_inline bool
mif_zc_find(const struct mif_zc_map *map, const struct mif_span *regions, const void *bytes,
		uint32_t length, struct mif_desc *desc)
{
	uintptr_t cell = ((uintptr_t)bytes - map->lowest) >> map->shift;
	uint8_t region = __atomic_load_n(&map->region[RTE_MIN(cell, (uintptr_t)map->cells)],
			__ATOMIC_RELAXED);
	uint64_t offset = (uintptr_t)bytes - (uintptr_t)regions[region].base;

	*desc = (struct mif_desc){
		.region = region,
		.length = length,
		.offset = (uint32_t)offset,
	};
	return (region != 0) & (offset + length <= regions[region].size);
}

#endif /* MEMIF_ZC_MEMORY_H */

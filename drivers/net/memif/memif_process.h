/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * This process among those that share a port. A queue and its rings are in memory that all of them
 * see; the memory of a connection a secondary process has to map itself, and may not have yet.
 */

#ifndef MEMIF_PROCESS_H
#define MEMIF_PROCESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <rte_config.h>

#include "memif_gate.h"
#include "memif_queue.h"

/** What it is, for all its ports. */
struct mif_process {
	uint32_t number; /**< in gates and locks; MIF_GATE_PRIMARY in the primary */
	bool fence;	 /**< the primary's barrier does not reach it */
	int kick_fd;	 /**< secondary: wakes the primary's control thread */
	/** Secondary: the connection of each port that is mapped here, 0 for none. */
	_Atomic(uint64_t) mapped[RTE_MAX_ETHPORTS];
};

extern struct mif_process mif_process;

/**
 * Secondary: may this process touch the memory of these ring ends, which are behind a gate that it
 * has entered?
 *
 * Acquire: pairs with the release in memif_secondary.c, after all of it was mapped.
 */
static inline bool
mif_process_maps(const struct mif_ring_end *end)
{
	const struct mif_shared *common = end->common;

	return atomic_load_explicit(&mif_process.mapped[common->port], memory_order_acquire) ==
			common->generation;
}

/**
 * A burst begins, in a secondary or in the primary. mif_gate_leave() must follow.
 *
 * @param secondary  a constant
 * @return the ring ends, or NULL when there are none that can be used here
 */
static inline struct mif_ring_end *
mif_process_enter(struct mif_queue *queue, const bool secondary)
{
	struct mif_ring_end *end;

	if (!secondary)
		return mif_gate_enter(&queue->gate);
	end = mif_gate_enter_as(&queue->gate, mif_process.number,
			queue->gate.fence || mif_process.fence);
	return end != NULL && mif_process_maps(end) ? end : NULL;
}

#endif /* MEMIF_PROCESS_H */

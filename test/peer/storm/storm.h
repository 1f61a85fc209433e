/* SPDX-License-Identifier: BSD-3-Clause */

/** @file Random descriptors and indices, as fast as the other end takes them. */

#ifndef STORM_H
#define STORM_H

#include "../../lifecycle/load/peer.h"

/** This end of one ring. */
struct storm_end {
	struct mif_ring *ring;
	uint16_t *own_index;
	const uint16_t *peer_index;
	uint32_t size;
	uint16_t cursor; /**< what own_index says, but for a jump */
	uint16_t seen;	 /**< where the other end was last */
};

/** What was done, and how. */
struct storm {
	struct peer *peer;
	uint64_t random;
	uint64_t wanted;      /**< descriptors to be taken by the other end */
	uint64_t descriptors; /**< that it has taken */
	uint64_t bad;	/**< offered with something outside its bounds; server: of any content */
	uint64_t jumps; /**< an index set to any value */
	uint64_t connections;
	uint64_t stuck;	     /**< connections that were given up, as nothing was taken any more */
	uint64_t last_taken; /**< descriptors, at last_time: seconds of CLOCK_MONOTONIC */
	double last_time;
	uint32_t bad_every; /**< of this connection: one of so many descriptors is bad */
	uint32_t jump_every;
	struct storm_end ends[MIF_DIRS][MIF_RINGS_MAX];
};

/** Of CLOCK_MONOTONIC. */
double seconds_now(void);

/** Connect, misbehave, connect again, until so many descriptors were taken. */
void storm_run(struct storm *storm);

#endif /* STORM_H */

/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * How a sender leaves a full ring alone for a while.
 *
 * One that fills each slot as soon as it is free writes right behind where its receiver reads, and
 * makes that slow, who is what the rate depends on (measured: doc/performance). So it waits until a
 * half of the slots is free. The other half is for the receiver meanwhile, so no rate is lost.
 *
 * Only when several bursts in a row did not fit, within microseconds, and for as long as the
 * receiver goes on to empty the ring fast: a packet does not wait for a slow one.
 *
 * Used by the sender alone, with the ring's lock if there is one.
 */

#ifndef MEMIF_REST_H
#define MEMIF_REST_H

#include <stdbool.h>
#include <stdint.h>

#include "memif_lag.h"

#define MIF_REST_STREAK 16    /**< bursts in a row that did not fit */
#define MIF_REST_PART_LOG2 1  /**< of the ring, that is to be free: a half */
#define MIF_REST_US 20	      /**< for a burst's worth of slots to be freed, at most */
#define MIF_REST_SIZE_MIN 256 /**< slots of a ring that is left alone */

/** The state of one transmit ring. */
struct mif_rest {
	uint64_t patience; /**< ticks that a burst's worth of slots may take to be freed */
	uint64_t since;	   /**< of the last burst that did not fit; resting: of the last progress */
	uint16_t most;	   /**< slots that are to be free; 0: it never rests */
	uint16_t wanted;   /**< the same while it rests, else 0 */
	uint16_t seen;	   /**< slots that were free at the last progress */
	uint16_t streak;   /**< bursts in a row that did not fit */
};

/** @param size  slots of the ring */
static inline struct mif_rest
mif_rest_init(uint32_t size, uint64_t ticks_per_second)
{
	return (struct mif_rest){
		.patience = ticks_per_second * MIF_REST_US / 1000000,
		.most = size < MIF_REST_SIZE_MIN ? 0 : (uint16_t)(size >> MIF_REST_PART_LOG2),
	};
}

/** Is the ring to be left alone? */
static inline bool
mif_rest_is_on(const struct mif_rest *rest)
{
	return rest->wanted != 0;
}

/** It is: still, when so many slots are free? */
static inline bool
mif_rest_goes_on(struct mif_rest *rest, uint32_t free, const mif_lag_clock_t now)
{
	if (free < rest->wanted) {
		if (free >= (uint32_t)rest->seen + MIF_LAG_BURST) {
			rest->seen = (uint16_t)free;
			rest->since = now();
			return true;
		}
		if (now() - rest->since < rest->patience)
			return true;
	}
	rest->wanted = 0;
	rest->streak = 0;
	return false;
}

/** A burst of so many packets did not fit. */
static inline void
mif_rest_full(struct mif_rest *rest, uint32_t packets, const mif_lag_clock_t now)
{
	uint64_t before = rest->since;

	if (packets < MIF_LAG_BURST || rest->most == 0)
		return;
	rest->since = now();
	if (rest->since - before >= rest->patience) {
		rest->streak = 0;
	} else if (++rest->streak == MIF_REST_STREAK) {
		rest->seen = 0;
		rest->wanted = rest->most;
	}
}

#endif /* MEMIF_REST_H */

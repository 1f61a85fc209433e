/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * How far a receiver stays behind a sender that streams.
 *
 * One that takes each packet at once reads beside what is being written: its CPU fetches ahead the
 * descriptors and packets that seem to come next, and the sender has to take each of their lines
 * back. Some slots of distance prevent that (measured: doc/performance).
 *
 * Slots are left to the sender only while full bursts follow each other within a few microseconds.
 * As soon as one does not, all is taken that there is: so nothing waits for longer than that when a
 * stream ends, and what comes at lower rates does not wait at all.
 *
 * Used by the receiver alone.
 */

#ifndef MEMIF_LAG_H
#define MEMIF_LAG_H

#include <stdint.h>

#define MIF_LAG_BURST 32    /**< packets of a full burst */
#define MIF_LAG_STREAK 16   /**< full bursts in a row that make a stream */
#define MIF_LAG_STEP 8	    /**< slots by which the distance grows with each burst of a stream */
#define MIF_LAG_DEFAULT 128 /**< slots; more gained nothing, 64 a few per cent less */
#define MIF_LAG_US 4	    /**< from one full burst of a stream to the next, at most */
#define MIF_LAG_PART_LOG2 2 /**< a quarter of a ring at most, so that its sender always has room */

/** A clock, in ticks of any length. */
typedef uint64_t (*mif_lag_clock_t)(void);

/** The state of one receive ring. */
struct mif_lag {
	uint64_t patience; /**< ticks from one full burst of a stream to the next, at most */
	uint64_t since;	   /**< when the last full burst was taken */
	uint16_t most;	   /**< slots that are left to a sender that streams; 0: never any */
	uint16_t slots;	   /**< slots that are left to it now */
	uint16_t streak;   /**< full bursts in a row, up to MIF_LAG_STREAK */
};

/**
 * @param wanted  slots to leave; 0 for none
 * @param size    slots of the ring
 */
static inline struct mif_lag
mif_lag_init(uint32_t wanted, uint32_t size, uint64_t ticks_per_second)
{
	const uint32_t most = size >> MIF_LAG_PART_LOG2;

	return (struct mif_lag){
		.patience = ticks_per_second * MIF_LAG_US / 1000000,
		.most = (uint16_t)(wanted < most ? wanted : most),
	};
}

/** No stream any more: the next burst takes all that there is. */
static inline void
mif_lag_end(struct mif_lag *lag)
{
	lag->slots = 0;
	lag->streak = 0;
}

/**
 * Of the slots that are ready, those that a burst may take. 0: there is nothing, or it is to wait;
 * else mif_lag_took() must follow.
 *
 * @param now  a constant
 */
static inline uint32_t
mif_lag_ready(struct mif_lag *lag, uint32_t ready, const mif_lag_clock_t now)
{
	if (lag->slots == 0 || ready == 0)
		return ready;
	if (ready >= (uint32_t)lag->slots + MIF_LAG_BURST)
		return ready - lag->slots;
	if (now() - lag->since < lag->patience)
		return 0;
	mif_lag_end(lag);
	return ready;
}

/**
 * A burst has taken so many packets; none: the first one is longer than what it was allowed to take,
 * or there were no mbufs.
 */
static inline void
mif_lag_took(struct mif_lag *lag, uint32_t packets, const mif_lag_clock_t now)
{
	uint64_t before = lag->since;

	if (packets == 0)
		mif_lag_end(lag);
	if (packets < MIF_LAG_BURST || lag->most == 0)
		return;
	lag->since = now();
	if (lag->slots == 0 && lag->since - before >= lag->patience)
		lag->streak = 0;
	else if (lag->streak < MIF_LAG_STREAK)
		lag->streak++;
	else
		lag->slots = (uint16_t)(lag->most - lag->slots < MIF_LAG_STEP ?
						lag->most :
						lag->slots + MIF_LAG_STEP);
}

#endif /* MEMIF_LAG_H */

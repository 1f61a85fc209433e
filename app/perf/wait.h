/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * Spans of time.
 */

#ifndef PERF_WAIT_H
#define PERF_WAIT_H

#include <stdbool.h>
#include <stdint.h>

struct wait_clock {
	uint64_t end;	 /**< in cycles of the TSC */
	uint64_t cycles; /**< how long it takes */
};

/** A clock that runs from now. */
struct wait_clock wait_begin(double seconds);

bool wait_is_over(const struct wait_clock *clock);

/** The same span again, from the end of the last one. */
void wait_again(struct wait_clock *clock);

/** Sleep, but not longer than until stop_wanted(). */
void wait_sleep(double seconds);

/** Let sleeps be as short as they are asked to be: by default the kernel adds 50 us. */
void wait_precisely(void);

#endif /* PERF_WAIT_H */

/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * The wish to end: Ctrl-C, SIGTERM or the program itself.
 */

#ifndef COMMON_STOP_H
#define COMMON_STOP_H

#include <stdbool.h>

/** Non-zero when it is time to end. Loops on other cores read it each round. */
extern int stop_flag;

/** Take SIGINT, SIGTERM and SIGHUP as the wish to end in good order. */
void stop_on_signals(void);

static inline bool
stop_wanted(void)
{
	return __atomic_load_n(&stop_flag, __ATOMIC_RELAXED) != 0;
}

/**
 * Keep what is there as it is, until one more signal.
 *
 * Some drivers crash when one end goes while the other one still polls: with this, both ends can
 * stop to poll before either closes its ports.
 */
void stop_hold(void);

static inline void
stop_now(void)
{
	__atomic_store_n(&stop_flag, 1, __ATOMIC_RELAXED);
}

#endif /* COMMON_STOP_H */

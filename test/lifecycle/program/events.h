/* SPDX-License-Identifier: BSD-3-Clause */

/** @file The application's link callback, which does what a test tells it to. */

#ifndef LIFECYCLE_EVENTS_H
#define LIFECYCLE_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

/** Register the callback for all ports. @return 0, or a negative errno */
int events_init(void);

/**
 * What to do in the next callback of a port that says up, or down: "stop", "close", "detach", or
 * "block" until events_release().
 *
 * @return 0, or -EINVAL
 */
int events_on(uint16_t port, bool up, const char *action);

/**
 * No more callbacks of a port; waits for one that runs, for some seconds. To be called before the end:
 * DPDK writes to its list of callbacks after each, and rte_eal_cleanup() takes that memory away.
 */
void events_end(uint16_t port);

/** Let a blocked callback go on. */
void events_release(void);

#endif /* LIFECYCLE_EVENTS_H */

/* SPDX-License-Identifier: BSD-3-Clause */

/** @file One lcore that polls all ports that are switched on. */

#ifndef LIFECYCLE_POLLER_H
#define LIFECYCLE_POLLER_H

#include <stdbool.h>
#include <stdint.h>

struct rte_mempool;

/** What it does with each port. */
enum poll_mode {
	POLL_LOAD, /**< receive and free, send as much as goes */
	POLL_SINK, /**< receive and free */
	POLL_ECHO, /**< send back what comes in */
	POLL_HOLD, /**< receive and keep; see held.h */
};

/** Nanoseconds of CLOCK_MONOTONIC. */
uint64_t now_ns(void);

/** Begin to poll, on the first worker lcore. @return 0, or a negative errno */
int poller_start(struct rte_mempool *pool);

/** End it. */
void poller_stop(void);

void poller_set_mode(enum poll_mode mode);

/** Bytes of each packet that POLL_LOAD sends; 64 at first. */
void poller_set_length(uint16_t length);

/** Poll so many queues of a started port, from the first one on. */
void poller_add(uint16_t port, uint16_t first, uint16_t queues);

/** Poll it no more; waits until the lcore is not inside any more. Any thread but the lcore. */
void poller_remove(uint16_t port);

/** When the first packet came since poller_add() or the last call, 0 for never. */
uint64_t poller_first_packet(uint16_t port, bool forget);

/** Turns so far: an lcore that hangs makes none. */
uint64_t poller_turns(void);

#endif /* LIFECYCLE_POLLER_H */

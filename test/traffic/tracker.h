/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRAFFIC_TRACKER_H
#define TRAFFIC_TRACKER_H

/*
 * What has arrived of one sending queue: every sequence number once, and in order?
 */

#include <stdint.h>

#include "options.h"

struct tracker {
	uint64_t next;	    /**< the number that should come next: 1 + the highest seen */
	uint64_t received;  /**< distinct packets */
	uint64_t bytes;	    /**< of the distinct packets */
	uint64_t dup;	    /**< came again */
	uint64_t reordered; /**< came for the first time, but after a higher number */
	uint64_t by_rxq[MAX_QUEUES];
	uint8_t *seen; /**< bitmap of the numbers seen */
	uint64_t seen_size;
};

/**
 * Notes a packet.
 *
 * @return 0, or -ENOMEM
 */
int tracker_note(struct tracker *t, uint64_t seq, uint32_t length, uint16_t rxq);

/** Numbers below the highest one seen that never came. */
uint64_t tracker_lost(const struct tracker *t);

void tracker_free(struct tracker *t);

#endif

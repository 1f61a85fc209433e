/* SPDX-License-Identifier: BSD-3-Clause */

/** @file Received packets that the application keeps until it is told to free them. */

#ifndef LIFECYCLE_HELD_H
#define LIFECYCLE_HELD_H

#include <stdint.h>

struct rte_mbuf;

/** What is kept. */
struct held_sum {
	unsigned int packets;
	unsigned int external; /**< of them: with an external buffer */
	uint64_t bytes;
	uint32_t sum; /**< over all their bytes as they are now */
};

/** Keep packets; too many are freed. The polling lcore. */
void held_add(struct rte_mbuf **mbufs, uint16_t count);

/** Read all of them. Any thread. */
struct held_sum held_look(void);

/** Free so many of them, the oldest first; 0 for all. Any thread. */
void held_free(unsigned int count);

#endif /* LIFECYCLE_HELD_H */

/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * What a worker counts per port. Only the worker writes; anybody may read.
 */

#ifndef FWD_COUNT_H
#define FWD_COUNT_H

#include <stdint.h>

enum drop_reason {
	DROP_FULL,    /**< the port that it was for takes no more */
	DROP_NO_PEER, /**< selected, but no memif port is up */
	DROP_NO_WAY,  /**< not selected, and there is no exception path */
	DROP_REASONS,
};

struct port_count {
	uint64_t rx_packets, rx_bytes;
	uint64_t tx_packets, tx_bytes;
	uint64_t drop[DROP_REASONS]; /**< of packets for this port; the last two: of the network's */
};

static inline void
count_add(uint64_t *counter, uint64_t n)
{
	/* Whole for readers on other cores. */
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static inline uint64_t
count_read(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

#endif /* FWD_COUNT_H */

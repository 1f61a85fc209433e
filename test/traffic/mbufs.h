/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRAFFIC_MBUFS_H
#define TRAFFIC_MBUFS_H

/*
 * The pools, and packets made of every kind of mbuf segment that an application may hand to
 * rte_eth_tx_burst().
 */

#include <stdint.h>

#include <rte_mbuf.h>

#include "options.h"

#define TX_POOLS 3

struct mbuf_maker {
	const struct options *opt;
	struct rte_mempool *rx_pool;
	struct rte_mempool *tx_pools[TX_POOLS];
	struct rte_mempool *shell_pool; /**< mbufs without data room, for indirect and external */
	uint8_t scratch[UINT16_MAX + 1];

	/* Packets sent with a second reference held here: SEG_REFCNT. */
	struct rte_mbuf **held;
	uint32_t held_size; /**< a power of two */
	uint32_t held_head;
	uint32_t held_tail;
	uint64_t held_modified; /**< whose bytes had changed when the driver let go */

	uint64_t ext_attached;
	uint64_t ext_freed; /**< by the driver, through the free callback */
};

/**
 * Creates the pools.
 *
 * @return 0, or negative after a message on stderr
 */
int mbufs_init(struct mbuf_maker *maker, const struct options *opt);

/** Mbufs out of all pools. */
uint32_t mbufs_in_use(const struct mbuf_maker *maker);

/**
 * Builds packet @p seq of @p queue.
 *
 * @return the packet, or NULL when a pool is empty
 */
struct rte_mbuf *mbufs_make(struct mbuf_maker *maker, uint16_t queue, uint64_t seq);

/**
 * Gives back second references whose first one the driver has released.
 *
 * @return packets still held
 */
uint32_t mbufs_reap(struct mbuf_maker *maker);

/** Frees the pools and what belongs to them. */
void mbufs_fini(struct mbuf_maker *maker);

#endif

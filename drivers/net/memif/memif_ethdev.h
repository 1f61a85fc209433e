/* SPDX-License-Identifier: BSD-3-Clause */

/** @file The operations of the ethdev, and the choice of its burst functions. */

#ifndef MEMIF_ETHDEV_H
#define MEMIF_ETHDEV_H

#include <stdint.h>
#include <stdio.h>
#include <rte_ethdev.h>

/** Queues of one kind that a port can have. */
#define MIF_QUEUES_MAX 255

/** The longest packet: the largest IP packet behind an Ethernet header and two VLAN tags. */
#define MIF_PACKET_MAX (65535u + 14u + 8u)

struct eth_dev_ops;

extern const struct eth_dev_ops mif_ethdev_ops;

/** @name Counters; memif_stats.c
 * @{
 */
int mif_stats_get(struct rte_eth_dev *dev, struct rte_eth_stats *stats);
int mif_stats_reset(struct rte_eth_dev *dev);
int mif_xstats_get(struct rte_eth_dev *dev, struct rte_eth_xstat *xstats, unsigned int size);
int mif_xstats_get_names(struct rte_eth_dev *dev, struct rte_eth_xstat_name *names,
		unsigned int size);
/** @} */

/** State of the port and its connection as text; memif_dump.c. */
int mif_dump(struct rte_eth_dev *dev, FILE *file);

#endif /* MEMIF_ETHDEV_H */

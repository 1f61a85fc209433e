/* SPDX-License-Identifier: BSD-3-Clause */

/** @file The operations of the ethdev, and the choice of its burst functions. */

#ifndef MEMIF_ETHDEV_H
#define MEMIF_ETHDEV_H

#include <stdint.h>
#include <stdio.h>

#include "memif_compat.h"

/** Queues of one kind that a port can have. */
#define MIF_QUEUES_MAX 255

/** The longest packet: the largest IP packet behind an Ethernet header and two VLAN tags. */
#define MIF_PACKET_MAX (65535u + 14u + 8u)

struct mif_counters;
struct mif_port;
struct mif_queue;
struct mif_ring_end;

/** MAC addresses of a port, its own included. */
#define MIF_MACS_MAX 64

extern const struct eth_dev_ops mif_ethdev_ops;

/**
 * Give the port its MAC address, and take the extra ones away.
 *
 * The array of addresses belongs to the ethdev library, which frees it with the port.
 *
 * @return 0 or -ENOMEM
 */
int mif_ethdev_set_mac(struct rte_eth_dev *dev, const struct rte_ether_addr *mac);

/** @name Queues: what they are, and what is in their rings; memif_queue_ops.c
 * @{
 */

/** Set the operations that applications call beside the bursts. */
void mif_queue_ops_set(struct rte_eth_dev *dev);

void mif_rxq_info_get(struct rte_eth_dev *dev, uint16_t id, struct rte_eth_rxq_info *info);
void mif_txq_info_get(struct rte_eth_dev *dev, uint16_t id, struct rte_eth_txq_info *info);
int mif_rx_burst_mode_get(struct rte_eth_dev *dev, uint16_t id, struct rte_eth_burst_mode *mode);
int mif_tx_burst_mode_get(struct rte_eth_dev *dev, uint16_t id, struct rte_eth_burst_mode *mode);
int mif_tx_done_cleanup(void *queue, uint32_t count);

/** Rings of the port's connection; 0 without one. Lock held. */
uint16_t mif_port_ring_count(const struct mif_port *port, bool transmit);

/** One of them. Lock held. */
const struct mif_ring_end *mif_port_ring(const struct mif_port *port, bool transmit,
		uint16_t index);

/** Slots with packets that their receiver has not taken; of a connection that is there. */
uint32_t mif_ring_filled(const struct mif_ring_end *end, bool transmit);
/** @} */

/** @name Queues that are started and stopped one by one; memif_queue_start.c
 * @{
 */

/** Their port is about to start: all queues start with it but for the deferred ones. */
void mif_queues_start(struct rte_eth_dev *dev);

/** Their port has been stopped. */
void mif_queues_stopped(struct rte_eth_dev *dev);

int mif_rx_queue_start(struct rte_eth_dev *dev, uint16_t id);
int mif_tx_queue_start(struct rte_eth_dev *dev, uint16_t id);

/**
 * When it returns, no burst of the queue is under way, and the ones that begin find no ring.
 *
 * @return 0, or -EBUSY after a log line when a burst does not end
 */
int mif_rx_queue_stop(struct rte_eth_dev *dev, uint16_t id);
int mif_tx_queue_stop(struct rte_eth_dev *dev, uint16_t id);
/** @} */

/**
 * What a CPU may wait for instead of polling a receive queue: a word that can be read until the queue
 * is released; memif_monitor.c.
 *
 * @return 0; -EBUSY when the queue has to be polled now, as it has several rings; -ENOTSUP in a
 *   secondary process; -ENOMEM after a log line
 */
int mif_get_monitor_addr(void *queue, struct rte_power_monitor_cond *cond);

/** @name Counters; memif_stats.c
 * @{
 */
#if RTE_VERSION >= RTE_VERSION_NUM(25, 11, 0, 0)
int mif_stats_get(struct rte_eth_dev *dev, struct rte_eth_stats *stats, mif_queue_stats *queues);
#else
int mif_stats_get(struct rte_eth_dev *dev, struct rte_eth_stats *stats);
#endif
int mif_stats_reset(struct rte_eth_dev *dev);
int mif_xstats_get(struct rte_eth_dev *dev, struct rte_eth_xstat *xstats, unsigned int size);
int mif_xstats_get_names(struct rte_eth_dev *dev, struct rte_eth_xstat_name *names,
		unsigned int size);

/** Counters of the whole port, without those of its queues. */
void mif_stats_of_port(struct rte_eth_dev *dev, struct rte_eth_stats *stats);

/** A queue goes away: its port goes on counting from there. Control lock held. */
void mif_stats_retire(struct mif_counters *retired, const struct mif_queue *queue);
/** @} */

/** State of the port and its connection as text; memif_dump.c. */
int mif_dump(struct rte_eth_dev *dev, FILE *file);

/** One word for what a port does: connected, connecting, waiting, down or stopped. Lock held. */
const char *mif_state_word(const struct mif_port *port);

#endif /* MEMIF_ETHDEV_H */

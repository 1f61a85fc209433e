/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * Offloads in software, as a stage around the normal bursts. It is there only for ports that asked
 * for one of them; the normal bursts know nothing of it.
 *
 * Packets are not written to. What goes to the normal transmit is a view: an mbuf that is in no pool
 * and has a copy of the headers, with the rest of the packet chained to it. So it does not matter
 * who else holds the packet, nor how often it is offered again when a ring is full.
 */

#ifndef MEMIF_OFFLOAD_H
#define MEMIF_OFFLOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <rte_ethdev.h>

#include "memif_queue.h"

/** What a port does in software when it is asked for; see also memif_headers.h. */
#define MIF_OFFLOAD_TX \
	(RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM | \
			RTE_ETH_TX_OFFLOAD_UDP_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_TSO | \
			RTE_ETH_TX_OFFLOAD_VLAN_INSERT)
#define MIF_OFFLOAD_RX RTE_ETH_RX_OFFLOAD_VLAN_STRIP

/** What a transmit queue with offloads works with; used by its lcore only. */
struct mif_offload;

/** Memory for it, or NULL; to be freed by rte_free(). */
struct mif_offload *mif_offload_create(int socket);

/**
 * Put the stage around the bursts that the port has, if its configuration or one of its queues asks
 * for an offload. To be called whenever the port's bursts were chosen.
 */
void mif_offload_wrap(struct rte_eth_dev *dev);

/** Strip VLAN tags in this receive queue, or not; its bursts must have the stage around them. */
void mif_queue_set_strip(struct mif_queue *queue, bool on);

/** ethdev operations: strip VLAN tags or not, at any time. */
int mif_vlan_offload_set(struct rte_eth_dev *dev, int mask);
void mif_vlan_strip_queue_set(struct rte_eth_dev *dev, uint16_t id, int on);

#endif /* MEMIF_OFFLOAD_H */

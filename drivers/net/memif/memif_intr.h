/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * Receive interrupts: an application sleeps on one file per queue, which stays the same over
 * disconnects and changes of the peer.
 *
 * The file is an epoll instance. Inside are the eventfds of the connection's rings, edge-triggered,
 * as the peer could fill their counters, and an eventfd of our own, for packets that came between
 * the application's last look at the ring and its request for interrupts.
 *
 * Peers without a fence between their packet and their look at our mask may fail to wake us. The
 * control thread looks after a receiver that has just gone to sleep, so that one which stays asleep
 * costs nothing.
 */

#ifndef MEMIF_INTR_H
#define MEMIF_INTR_H

#include <stdbool.h>
#include <stdint.h>
#include <rte_ethdev.h>

struct mif_queue;
struct mif_ring_end;

/** What a receive queue needs for it. */
struct mif_wait {
	uint32_t enabled; /**< the application wants interrupts */
	int epoll;	  /**< what it waits on; -1 without receive interrupts */
	int kick;	  /**< our own eventfd */
	uint32_t looks;	  /**< that the control thread has still to take at the rings */
};

/** No receive interrupts. */
void mif_wait_init(struct mif_wait *wait);

/**
 * Make the files.
 *
 * @return 0, or a negative errno
 */
int mif_wait_open(struct mif_wait *wait);

/** Close them. */
void mif_wait_close(struct mif_wait *wait);

/** A connection: its rings are behind the queue's gates. Control lock held. */
void mif_wait_attach(struct mif_wait *wait, struct mif_ring_end *ends);

/** The connection's eventfds are about to be closed; the peer's copies would go on firing. */
void mif_wait_detach(struct mif_wait *wait, const struct mif_ring_end *ends);

/**
 * One look at the rings of a queue that may be asleep: are there packets, then wake it. Control
 * thread, lock held.
 *
 * @param ends  the connection's, or NULL
 * @return whether there are to be more looks
 */
bool mif_wait_look_after(struct mif_wait *wait, const struct mif_ring_end *ends);

/**
 * Let rte_eth_dev_rx_intr_ctl() find the files of the port's queues, if the application has asked
 * for receive interrupts.
 *
 * @return 0, or a negative errno after a log line
 */
int mif_intr_setup(struct rte_eth_dev *dev);

/** Undo mif_intr_setup(). */
void mif_intr_release(struct rte_eth_dev *dev);

/** ethdev operations. */
int mif_rx_intr_enable(struct rte_eth_dev *dev, uint16_t queue_id);
int mif_rx_intr_disable(struct rte_eth_dev *dev, uint16_t queue_id);

#endif /* MEMIF_INTR_H */

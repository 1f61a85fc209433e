/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * A port: its options, whether the application wants it up, and its connection. The private data of
 * the ethdev. Everything here is under the control lock.
 */

#ifndef MEMIF_PORT_H
#define MEMIF_PORT_H

#include <stdbool.h>
#include <stdint.h>
#include <rte_ethdev.h>

#include "memif_conn.h"
#include "memif_ctrl.h"
#include "memif_devargs.h"
#include "memif_queue.h"

struct mif_link;
struct mif_listener;
struct mif_session;

/** Counters of a port that are not of one queue. */
struct mif_port_counters {
	uint64_t connects;
	uint64_t disconnects;
	uint64_t rx_lost; /**< packets that a peer had sent, unread when the connection ended */
	uint64_t tx_lost; /**< packets sent that the peer had not taken when the connection ended */
};

/** A port of this process. */
struct mif_port {
	uint64_t layout; /**< MIF_PORT_LAYOUT, for who is about to trust the rest */
	/** Zero: a secondary that was started without -d has the stock driver, which looks for its
	 * own flags and numbers of rings here, and finds none. */
	uint8_t not_of_stock[120];
	TAILQ_ENTRY(mif_port) next; /**< of the process */
	struct rte_eth_dev *dev;
	const char *name;
	struct mif_devargs args;
	struct mif_conn_cfg cfg;
	struct mif_listener *listener;	   /**< server */
	struct mif_session *session;	   /**< a handshake under way, or the connection */
	struct mif_link *link;		   /**< what the bursts use; NULL without a connection */
	bool started;			   /**< between dev_start and dev_stop */
	bool wanted_up;			   /**< not set down by the application */
	bool link_event;		   /**< a link change to report */
	struct mif_timer retry;		   /**< client: the next attempt */
	uint32_t pause;			   /**< client: milliseconds before it */
	uint16_t ring_cap[MIF_DIRS];	   /**< client: rings that a server has not refused */
	char trouble[MIF_REASON_LEN + 64]; /**< why there is no connection; said once */
	char reason[MIF_REASON_LEN + 32];  /**< why the last connection ended */
	char peer[2 * MIF_NAME_LEN + 16];  /**< whom it is, or was, connected with */
	uint64_t up_since;		   /**< milliseconds of mif_ctrl_now() */
	uint64_t told;			   /**< when trouble was told, likewise */
	uint64_t lines_due;		   /**< when all logged lines were due, likewise */
	uint32_t lines_left_out;	   /**< of the log, since the last one */
	struct mif_port_counters counters;
	struct mif_port_counters cleared; /**< what they were at the last reset */
	struct mif_counters retired_rx;	  /**< of queues that were released, since the last reset */
	struct mif_counters retired_tx;
};

/**
 * How the structures lie that several processes use. The stock driver's port has something else
 * there, another build of this driver another number.
 */
#define MIF_PORT_LAYOUT \
	(UINT64_C(0x6d69660000000000) | sizeof(struct mif_port) << 26 | \
			sizeof(struct mif_queue) << 14 | sizeof(struct mif_ring_end) << 4 | \
			(sizeof(struct mif_shared) >> 4 & 0xf))

/** The private data of an ethdev of ours. */
static inline struct mif_port *
mif_port_of(struct rte_eth_dev *dev)
{
	return dev->data->dev_private;
}

/**
 * Make a port of its options: listen if it is a server.
 *
 * @return 0, or a negative errno after a log line
 */
int mif_port_open(struct mif_port *port, struct rte_eth_dev *dev, const struct mif_devargs *args);

/** Undo mif_port_open(). Takes the lock itself: the control thread may end with it. */
void mif_port_close(struct mif_port *port);

/** The application wants packets, or wants them again: connect, or let clients in. */
void mif_port_start(struct mif_port *port);

/** It does not: disconnect for that reason, and take no client. */
void mif_port_stop(struct mif_port *port, const char *reason);

/**
 * mode=ip: the address that the peer has for the application, as no packet brings one. The same for
 * each connection and start: 02:6d and the id if the peer is the server, 06:6d and the id if it is
 * the client.
 */
struct rte_ether_addr mif_port_peer_mac(const struct mif_port *port);

/** Word for the mode of a port: ethernet or ip. */
const char *mif_port_mode_name(const struct mif_port *port);

/**
 * After mif_port_stop(): wait for bursts that may still hold mbufs, and for a server that may still
 * write into some, as the application may use them or free their pools next. Lock held, released
 * while it waits.
 */
void mif_port_settle(struct mif_port *port);

/** For logs and applications: copy or zero-copy. */
const char *mif_port_copy_word(const struct mif_port *port);

/** May it have a connection now? */
bool mif_port_ready(const struct mif_port *port);

/** Rings that the port asks for, or takes, in a direction. */
uint16_t mif_port_rings(const struct mif_port *port, enum mif_dir dir);

/** The session's handshake is done: packets may move. */
void mif_port_connected(struct mif_port *port, struct mif_session *session);

/** A client was not let in, for conn->reason. */
void mif_port_refused(struct mif_port *port, const struct mif_conn *conn);

/** The session of this port has ended, whatever it had reached. */
void mif_port_disconnected(struct mif_port *port, const struct mif_conn *conn);

/** End connections on which a burst has found a fault. */
void mif_port_check_links(struct mif_port_list *ports);

/**
 * Take the next link change that an application has to hear of.
 *
 * @return its device, or NULL when there is none
 */
struct rte_eth_dev *mif_port_take_link_event(struct mif_port_list *ports);

#endif /* MEMIF_PORT_H */

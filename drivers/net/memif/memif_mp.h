/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * Several processes on one port. The primary process owns ports, connections and their memory; a
 * secondary maps what the bursts of a connection need, and sends and receives.
 *
 * Here is the primary's side: it knows its secondaries, tells them of connections, and sets right
 * what one has left that died. memif_secondary.h is the other side. How they find each other: the
 * secondary makes a socket pair, and sends one end by DPDK's multi-process channel.
 */

#ifndef MEMIF_MP_H
#define MEMIF_MP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

/** Name of the message that brings a secondary's socket. */
#define MIF_MP_HELLO "net_memif_hello"

struct mif_link;

/** What a link needs to be told to others. */
struct mif_mp_entry {
	TAILQ_ENTRY(mif_link) next;
	uint16_t port;
	bool listed;
	bool attached; /**< not detached yet: it is the port's connection */
};

/**
 * The control thread starts: take secondaries, if this process can have any. Lock held.
 *
 * @return 0, or a negative errno after a log line
 */
int mif_mp_open(void);

/** It ends. Lock held. */
void mif_mp_close(void);

/** Tell secondaries of a connection, whose gates are open. Lock held. */
void mif_mp_publish(struct mif_link *link, uint16_t port_id);

/** It is detached: nobody need be told any more. Lock held. */
void mif_mp_retract(struct mif_link *link);

/** No burst of any process uses it: let secondaries unmap it. Lock held. */
void mif_mp_withdraw(struct mif_link *link);

#endif /* MEMIF_MP_H */

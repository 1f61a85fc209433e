/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * One end of a memif connection without DPDK: starts within a millisecond, so that it can be killed
 * a thousand times. Made of drivers/net/memif/base; blocks where the driver must not.
 */

#ifndef LOAD_PEER_H
#define LOAD_PEER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "memif_conn.h"
#include "memif_layout.h"
#include "memif_region.h"
#include "memif_sock.h"

/** What others may watch a peer do; in memory that outlives the process of the peer. */
struct progress {
	atomic_uint met;    /**< connections that began */
	atomic_uint state;  /**< enum mif_state of the present one */
	atomic_ullong sent; /**< by all connections */
	atomic_ullong received;
	atomic_ullong life_sent; /**< by this process */
	atomic_ullong life_received;
};

/** One end. */
struct peer {
	enum mif_role role;
	struct mif_conn_cfg cfg;
	struct mif_sockaddr addr;
	unsigned int stop_at; /**< signal this process before so many-th message; 0: never */
	int stop_signal;
	struct progress *progress;

	unsigned int messages; /**< of this connection */
	struct mif_sock_listener listener;
	int sock;
	struct mif_conn conn;
	struct mif_layout layout; /**< client */
	struct mif_region regions[MIF_REGIONS_MAX];
	int event_fds[MIF_DIRS][MIF_RINGS_MAX];
};

/** No connection yet. Role, cfg, addr, stop_at, stop_signal and progress are set already. */
void peer_init(struct peer *peer);

/** Server: listen. @return 0, or a negative errno */
int peer_listen(struct peer *peer);

/** Wait until there is a server, or a client. @return 0, or a negative errno */
int peer_meet(struct peer *peer);

/** Wait for so many milliseconds for a message, and act on it. */
void peer_step(struct peer *peer, int wait_ms);

/** Is it over? peer->conn.reason says why. */
static inline bool
peer_closed(const struct peer *peer)
{
	return peer->conn.state == MIF_STATE_CLOSED;
}

static inline bool
peer_up(const struct peer *peer)
{
	return peer->conn.state == MIF_STATE_UP;
}

/** Give back what the connection held. */
void peer_close(struct peer *peer);

#endif /* LOAD_PEER_H */

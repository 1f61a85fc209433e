/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * One control connection: reads messages, asks the state machine, carries out what it says. Needs
 * the control lock; it frees itself some time after it has ended.
 */

#ifndef MEMIF_SESSION_H
#define MEMIF_SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "memif_conn.h"
#include "memif_ctrl.h"

struct mif_link;
struct mif_listener;
struct mif_port;

/** A control connection. */
struct mif_session {
	struct mif_watch watch;
	struct mif_timer deadline;
	struct mif_conn conn;
	uint64_t born;			    /**< milliseconds of mif_ctrl_now() */
	struct mif_port *port;		    /**< server: NULL until INIT has named it */
	struct mif_listener *listener;	    /**< server: until the port is known */
	struct mif_link *link;		    /**< what has been made or taken so far */
	TAILQ_ENTRY(mif_session) anonymous; /**< of the listener: no port yet */
};

/**
 * Client: connect the port to its server.
 *
 * @return 0, or a negative errno of mif_sock_connect()
 */
int mif_session_connect(struct mif_port *port);

/**
 * Server: a client was accepted.
 *
 * @param fd  owned by the session from here on
 */
void mif_session_accept(struct mif_listener *listener, int fd);

/** Say why, and end it. The port, if there is one, hears of it by mif_port_disconnected(). */
void mif_session_end(struct mif_session *session, const char *reason);

/** Has the peer closed its end, though we have not read that far? */
bool mif_session_hung_up(const struct mif_session *session);

#endif /* MEMIF_SESSION_H */

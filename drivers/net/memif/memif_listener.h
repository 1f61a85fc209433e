/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * One listener per socket, shared by the server ports on it. Everything here is under the control
 * lock.
 */

#ifndef MEMIF_LISTENER_H
#define MEMIF_LISTENER_H

#include <stdint.h>

#include "memif_msg.h"
#include "memif_sock.h"

struct mif_listener;
struct mif_port;
struct mif_session;

/** Clients that have not said yet which port they want; more, and the oldest has to go. */
#define MIF_ANONYMOUS_MAX 256

/**
 * Listen for a port, alone or together with others on the same socket.
 *
 * @param who     name of the port, for the log
 * @param access  must be the same for all ports on a socket
 * @param listener  gets the listener
 * @return 0, or a negative errno after a log line
 */
int mif_listener_join(struct mif_listener **listener, const char *who,
		const struct mif_sockaddr *addr, const struct mif_sock_access *access);

/** One port less; the last one closes the socket and removes its file. */
void mif_listener_leave(struct mif_listener *listener);

/** The port with this id, or NULL. */
struct mif_port *mif_listener_find(const struct mif_listener *listener, uint32_t id);

/** What HELLO announces: enough for the port with the most queues. */
struct mif_limits mif_listener_limits(const struct mif_listener *listener);

/** The name that HELLO gives. */
const char *mif_listener_name(const struct mif_listener *listener);

/** Keep an eye on a session until it has a port. */
void mif_listener_remember(struct mif_listener *listener, struct mif_session *session);

/** It has a port, or is over. */
void mif_listener_forget(struct mif_listener *listener, struct mif_session *session);

#endif /* MEMIF_LISTENER_H */

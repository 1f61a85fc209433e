/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * Addresses of the control socket, listening and connecting. Nothing here blocks but for the few
 * milliseconds that mif_sock_listen() may wait for another process doing the same.
 */

#ifndef MEMIF_SOCK_H
#define MEMIF_SOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#define MIF_SOCK_NAME_MAX 107 /**< bytes of a path, or of an abstract name, without its NUL */

/** Where a server listens. */
struct mif_sockaddr {
	struct sockaddr_un un;
	socklen_t length; /**< bytes of un that count */
	bool abstract;
	char text[MIF_SOCK_NAME_MAX + 1]; /**< the path, or the abstract name; for logs */
};

/**
 * Make an address.
 *
 * An abstract name is the NUL, then the bytes of name: the way DPDK and VPP write it.
 *
 * @param name  a path, or an abstract name without its leading NUL
 * @return 0; -EINVAL when it is empty; -ENAMETOOLONG when it is over MIF_SOCK_NAME_MAX bytes
 */
int mif_sockaddr_init(struct mif_sockaddr *addr, const char *name, bool abstract);

/** The same place? */
bool mif_sockaddr_same(const struct mif_sockaddr *a, const struct mif_sockaddr *b);

/** Who may open a socket file. */
struct mif_sock_access {
	uid_t uid;   /**< owner, (uid_t)-1 to leave it */
	gid_t gid;   /**< group, (gid_t)-1 to leave it */
	mode_t mode; /**< permission bits, (mode_t)-1 for what the umask gives */
};

/** A listening socket and the file that belongs to it. */
struct mif_sock_listener {
	int fd;
	dev_t dev; /**< of the file, 0 for an abstract name */
	ino_t ino;
};

/**
 * Listen.
 *
 * Owner and mode are set before anybody can connect. A socket file on which nobody listens is
 * replaced; anything else that stands in the way is left alone.
 *
 * @return 0; -EADDRINUSE when somebody listens there; -EEXIST when the path is no socket; -EBUSY when
 *         the file may be stale, but another process keeps the folder locked (flock(2)); another
 *         negative errno. On errors nothing is left behind.
 */
int mif_sock_listen(struct mif_sock_listener *listener, const struct mif_sockaddr *addr,
		const struct mif_sock_access *access);

/** Stop listening, and remove the file if it is still the one that was made. */
void mif_sock_unlisten(struct mif_sock_listener *listener, const struct mif_sockaddr *addr);

/**
 * Accept one client.
 *
 * @return a socket, or -EAGAIN when there is none, or another negative errno
 */
int mif_sock_accept(const struct mif_sock_listener *listener);

/**
 * Connect to a server.
 *
 * @return a socket; -ECONNREFUSED or -ENOENT when nobody listens; -EAGAIN when its queue of clients
 *         is full; another negative errno
 */
int mif_sock_connect(const struct mif_sockaddr *addr);

#endif /* MEMIF_SOCK_H */

/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <ethdev_driver.h>
#include <rte_common.h>

#include "memif_ctrl.h"
#include "memif_listener.h"
#include "memif_log.h"
#include "memif_port.h"
#include "memif_session.h"

#define ACCEPTS_PER_TURN 16
#define OUT_OF_FILES_MS 100

struct mif_listener {
	struct mif_watch watch;
	struct mif_timer rest; /* after an error that would come again at once */
	struct mif_sock_listener sock;
	struct mif_sockaddr addr;
	struct mif_sock_access access;
	unsigned int ports;
	unsigned int anonymous_count;
	TAILQ_HEAD(, mif_session) anonymous; /* oldest first */
};

static void
rest_over(struct mif_timer *timer)
{
	struct mif_listener *listener = container_of(timer, struct mif_listener, rest);

	if (mif_ctrl_watch(&listener->watch) != 0)
		mif_ctrl_arm(timer, OUT_OF_FILES_MS);
}

static void
on_ready(struct mif_watch *watch, uint32_t events)
{
	struct mif_listener *listener = container_of(watch, struct mif_listener, watch);
	int fd = 0;

	RTE_SET_USED(events);
	for (int i = 0; i < ACCEPTS_PER_TURN && fd >= 0; i++) {
		fd = mif_sock_accept(&listener->sock);
		if (fd >= 0)
			mif_session_accept(listener, fd);
	}
	if (fd >= 0 || fd == -EAGAIN)
		return;
	MIF_LOG(WARNING, listener->addr.text, "cannot accept a client: %s; trying again in %d ms",
			strerror(-fd), OUT_OF_FILES_MS);
	mif_ctrl_unwatch(watch);
	mif_ctrl_arm(&listener->rest, OUT_OF_FILES_MS);
}

static void
bury(struct mif_watch *watch)
{
	free(container_of(watch, struct mif_listener, watch));
}

static struct mif_listener *
find_listener(const struct mif_sockaddr *addr)
{
	struct mif_port *port;

	TAILQ_FOREACH(port, mif_ctrl_ports(), next) {
		if (port->listener != NULL && mif_sockaddr_same(&port->listener->addr, addr))
			return port->listener;
	}
	return NULL;
}

static void
log_failure(const char *who, const struct mif_sockaddr *addr, int error)
{
	if (error == -EADDRINUSE)
		MIF_LOG(ERR, who, "another process listens on %s: end it, or use another socket",
				addr->text);
	else if (error == -EEXIST)
		MIF_LOG(ERR, who, "%s exists and is not a socket: remove it, or use another path",
				addr->text);
	else if (error == -EBUSY)
		MIF_LOG(ERR, who,
				"another process keeps the folder of %s locked (flock): try again",
				addr->text);
	else
		MIF_LOG(ERR, who, "cannot listen on %s: %s", addr->text, strerror(-error));
}

static int
create(struct mif_listener **created, const char *who, const struct mif_sockaddr *addr,
		const struct mif_sock_access *access)
{
	struct mif_listener *listener = calloc(1, sizeof(*listener));
	int ret;

	if (listener == NULL) {
		MIF_LOG(ERR, who, "no memory to listen on %s", addr->text);
		return -ENOMEM;
	}
	listener->addr = *addr;
	listener->access = *access;
	listener->rest.fire = rest_over;
	TAILQ_INIT(&listener->anonymous);
	ret = mif_sock_listen(&listener->sock, addr, access);
	if (ret == 0) {
		listener->watch = (struct mif_watch){
			.fd = listener->sock.fd,
			.ready = on_ready,
			.bury = bury,
		};
		ret = mif_ctrl_watch(&listener->watch);
		if (ret != 0)
			mif_sock_unlisten(&listener->sock, addr);
	}
	if (ret != 0) {
		log_failure(who, addr, ret);
		free(listener);
		return ret;
	}
	*created = listener;
	return 0;
}

int
mif_listener_join(struct mif_listener **listener, const char *who, const struct mif_sockaddr *addr,
		const struct mif_sock_access *access)
{
	int ret = 0;

	*listener = find_listener(addr);
	if (*listener == NULL)
		ret = create(listener, who, addr, access);
	else if (memcmp(&(*listener)->access, access, sizeof(*access)) != 0)
		ret = -EINVAL;
	if (ret == 0) {
		(*listener)->ports++;
		return 0;
	}
	if (*listener != NULL)
		MIF_LOG(ERR, who,
				"ports on one socket (%s) need the same owner-uid, owner-gid and "
				"socket-mode",
				addr->text);
	*listener = NULL;
	return ret;
}

void
mif_listener_leave(struct mif_listener *listener)
{
	struct mif_session *session;

	if (--listener->ports != 0)
		return;
	while ((session = TAILQ_FIRST(&listener->anonymous)) != NULL)
		mif_session_end(session, "interface deleted");
	if (listener->rest.armed)
		mif_ctrl_disarm(&listener->rest);
	else
		mif_ctrl_unwatch(&listener->watch);
	listener->watch.fd = -1;
	mif_sock_unlisten(&listener->sock, &listener->addr);
	mif_ctrl_bury(&listener->watch);
}

struct mif_port *
mif_listener_find(const struct mif_listener *listener, uint32_t id)
{
	struct mif_port *port;

	TAILQ_FOREACH(port, mif_ctrl_ports(), next) {
		if (port->listener == listener && port->args.id == id)
			return port;
	}
	return NULL;
}

struct mif_limits
mif_listener_limits(const struct mif_listener *listener)
{
	/*
	 * HELLO has highest indices. gomemif takes them for numbers and would offer no ring to a
	 * server of one queue, so there is room for two: a queue can poll both.
	 */
	struct mif_limits limits = {
		.regions = MIF_REGIONS_MAX,
		.rings = { 2, 2 },
		.log2_ring_size = MIF_LOG2_RING_MAX,
	};
	struct mif_port *port;

	TAILQ_FOREACH(port, mif_ctrl_ports(), next) {
		if (port->listener != listener || !port->started)
			continue;
		for (int dir = 0; dir < MIF_DIRS; dir++)
			limits.rings[dir] = RTE_MAX(limits.rings[dir], mif_port_rings(port, dir));
	}
	return limits;
}

const char *
mif_listener_name(const struct mif_listener *listener)
{
	struct mif_port *port;

	TAILQ_FOREACH(port, mif_ctrl_ports(), next) {
		if (port->listener == listener)
			return port->cfg.name;
	}
	return "";
}

void
mif_listener_remember(struct mif_listener *listener, struct mif_session *session)
{
	TAILQ_INSERT_TAIL(&listener->anonymous, session, anonymous);
	if (++listener->anonymous_count > MIF_ANONYMOUS_MAX)
		mif_session_end(TAILQ_FIRST(&listener->anonymous), "too many clients");
}

void
mif_listener_forget(struct mif_listener *listener, struct mif_session *session)
{
	TAILQ_REMOVE(&listener->anonymous, session, anonymous);
	listener->anonymous_count--;
}

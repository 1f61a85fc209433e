/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <ethdev_driver.h>
#include <rte_common.h>

#include "memif_chan.h"
#include "memif_discard.h"
#include "memif_link.h"
#include "memif_listener.h"
#include "memif_log.h"
#include "memif_port.h"
#include "memif_session.h"

/* How long a peer may take for one step, and for all of them. */
#define STEP_MS 2000
#define HANDSHAKE_MS 10000

static void
close_session(struct mif_session *session)
{
	struct mif_port *port = session->port;

	mif_ctrl_disarm(&session->deadline);
	mif_ctrl_unwatch(&session->watch);
	if (port != NULL && port->link != NULL)
		mif_link_part_socket(port->link, session->watch.fd);
	else
		mif_chan_close(session->watch.fd);
	session->watch.fd = -1;
	if (session->listener != NULL)
		mif_listener_forget(session->listener, session);
	session->listener = NULL;
	session->port = NULL;
	if (port != NULL)
		mif_port_disconnected(port, &session->conn);
	if (session->link != NULL)
		mif_link_free(session->link);
	session->link = NULL;
	mif_ctrl_bury(&session->watch);
}

static const struct rte_eth_dev_data *
port_data(const struct mif_session *session)
{
	return session->port->dev->data;
}

static int
make_link(struct mif_session *session)
{
	const struct rte_eth_dev_data *data = port_data(session);

	session->link = mif_link_create(data->name,
			(uint32_t)data->nb_rx_queues + data->nb_tx_queues, data->numa_node);
	if (session->link == NULL)
		return -ENOMEM;
	session->link->lends = session->port->args.zero_copy && session->conn.role == MIF_SERVER;
	return 0;
}

static void
build(struct mif_session *session, struct mif_actions *follow)
{
	struct mif_conn *conn = &session->conn;
	struct mif_link_cfg cfg = {
		.log2_ring_size = conn->log2_ring_size,
		.buffer_size = session->port->args.buffer_size,
		.max_regions = conn->limits.regions,
		.socket = port_data(session)->numa_node,
		.zero_copy = session->port->args.zero_copy ? session->port->dev : NULL,
	};
	const char *why = "out of memory";
	int ret = make_link(session);

	if (ret == 0)
		ret = mif_link_build(session->link, &conn->geometry, &cfg, &why);
	if (ret == 0)
		ret = mif_link_finish(session->link, MIF_CLIENT, &conn->geometry, cfg.socket, &why);
	if (ret == 0)
		mif_conn_built(conn, follow);
	else
		mif_conn_fail(conn, why, follow);
}

static bool
permitted(const struct mif_session *session, const struct mif_port *port)
{
	struct ucred peer = { 0 };
	socklen_t size = sizeof(peer);

	return getsockopt(session->watch.fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
			mif_devargs_allow(&port->args, peer.uid, peer.gid);
}

/* HELLO comes before the id. If the port was started after it, the client has been told of fewer
 * rings than there are, and would do with those for as long as it is connected. */
static bool
greeted_too_early(const struct mif_conn *conn, const struct mif_port *port)
{
	return conn->limits.rings[MIF_C2S] < mif_port_rings(port, MIF_C2S) ||
			conn->limits.rings[MIF_S2C] < mif_port_rings(port, MIF_S2C);
}

/* A client that was killed and is back must not be kept out by what it has left. */
static const char *
refusal(const struct mif_session *session, struct mif_port *port)
{
	if (!permitted(session, port))
		return "not permitted";
	if (!mif_port_ready(port) || greeted_too_early(&session->conn, port))
		return "interface is down";
	if (port->session != NULL && mif_session_hung_up(port->session))
		mif_session_end(port->session, "the peer closed the connection");
	return port->session != NULL ? "already connected" : NULL;
}

static void
bind_to_port(struct mif_session *session, struct mif_actions *follow)
{
	struct mif_conn *conn = &session->conn;
	struct mif_port *port = mif_listener_find(session->listener, conn->id);

	if (port == NULL) {
		mif_conn_bound(conn, NULL, NULL, follow);
		return;
	}
	mif_conn_bound(conn, &port->cfg, refusal(session, port), follow);
	if (conn->state == MIF_STATE_CLOSED) {
		mif_port_refused(port, conn);
		return;
	}
	mif_listener_forget(session->listener, session);
	session->listener = NULL;
	session->port = port;
	port->session = session;
	if (make_link(session) != 0)
		mif_conn_fail(conn, "out of memory", follow);
}

static void
bring_up(struct mif_session *session, struct mif_actions *follow)
{
	struct mif_conn *conn = &session->conn;
	const char *why;

	if (conn->role == MIF_SERVER &&
			mif_link_finish(session->link, MIF_SERVER, &conn->geometry,
					port_data(session)->numa_node, &why) != 0) {
		mif_conn_fail(conn, why, follow);
		return;
	}
	mif_ctrl_disarm(&session->deadline);
	mif_port_connected(session->port, session);
}

static int
file_of(const struct mif_session *session, const struct mif_action *action)
{
	if (action->msg.type == MIF_MSG_ADD_REGION)
		return session->link->regions[action->index].fd;
	if (action->msg.type == MIF_MSG_ADD_RING)
		return session->link->event_fds[action->dir][action->index];
	return -1;
}

static void
send_message(struct mif_session *session, const struct mif_action *action,
		struct mif_actions *follow)
{
	int ret = mif_chan_send(session->watch.fd, &action->msg, file_of(session, action));
	char reason[MIF_REASON_LEN];

	/* A last word that cannot be said is no further reason to close. */
	if (ret == 0 || session->conn.state == MIF_STATE_CLOSED)
		return;
	/* The peer has closed: its reason may be there to be read, and the end after it. */
	if (ret == -EPIPE || ret == -ECONNRESET)
		return;
	if (ret == -EAGAIN)
		snprintf(reason, sizeof(reason), "the peer does not read its messages");
	else
		snprintf(reason, sizeof(reason), "cannot send %s: %s",
				mif_msg_name(action->msg.type), strerror(-ret));
	mif_conn_hangup(&session->conn, reason, follow);
}

static void
take_file(struct mif_session *session, const struct mif_action *action, int fd,
		struct mif_actions *follow)
{
	struct mif_conn *conn = &session->conn;
	const char *why;
	int ret;

	if (action->type == MIF_ACT_TAKE_REGION)
		ret = mif_link_take_region(session->link, action->index, fd,
				conn->geometry.region_size[action->index],
				session->port->args.sealed_only, &why);
	else
		ret = mif_link_take_event(session->link, action->dir, action->index, fd, &why);
	if (ret != 0)
		mif_conn_fail(conn, why, follow);
}

/* Carries out the list, and the lists that come of it. Owns fd, the file of the message, or -1. */
static void
perform(struct mif_session *session, struct mif_actions *actions, int fd)
{
	struct mif_actions follow = { 0 };
	const struct mif_action *action;

	for (unsigned int i = 0; i < actions->count; i++) {
		action = &actions->list[i];
		switch (action->type) {
		case MIF_ACT_SEND:
			send_message(session, action, &follow);
			break;
		case MIF_ACT_BUILD:
			build(session, &follow);
			break;
		case MIF_ACT_BIND:
			bind_to_port(session, &follow);
			break;
		case MIF_ACT_TAKE_REGION:
		case MIF_ACT_TAKE_RING:
			take_file(session, action, fd, &follow);
			fd = -1;
			break;
		case MIF_ACT_UP:
			bring_up(session, &follow);
			break;
		case MIF_ACT_CLOSE:
			close_session(session);
			break;
		}
		if (follow.count != 0) {
			*actions = follow;
			follow.count = 0;
			i = (unsigned int)-1;
		}
	}
	mif_discard_fd(fd);
}

static void
hang_up(struct mif_session *session, const char *reason)
{
	struct mif_actions actions;

	mif_conn_hangup(&session->conn, reason, &actions);
	perform(session, &actions, -1);
}

void
mif_session_end(struct mif_session *session, const char *reason)
{
	struct mif_actions actions;

	mif_conn_fail(&session->conn, reason, &actions);
	perform(session, &actions, -1);
}

static void
set_deadline(struct mif_session *session)
{
	uint64_t end = session->born + HANDSHAKE_MS;
	uint64_t now = mif_ctrl_now();

	mif_ctrl_arm(&session->deadline, RTE_MIN((uint64_t)STEP_MS, end > now ? end - now : 0));
}

static void
on_deadline(struct mif_timer *timer)
{
	struct mif_session *session = container_of(timer, struct mif_session, deadline);
	char reason[MIF_REASON_LEN];

	snprintf(reason, sizeof(reason), "timed out %s", mif_state_name(session->conn.state));
	mif_session_end(session, reason);
}

/* One message a turn: a peer that floods us has to wait like everybody. */
static void
on_ready(struct mif_watch *watch, uint32_t events)
{
	struct mif_session *session = container_of(watch, struct mif_session, watch);
	struct mif_actions actions;
	struct mif_chan_msg in;
	int ret = mif_chan_recv(watch->fd, &in);

	RTE_SET_USED(events);
	if (ret == -EAGAIN)
		return;
	if (ret == -EPROTO) {
		mif_session_end(session, "malformed message");
		return;
	}
	if (ret != 0) {
		hang_up(session,
				ret == -ECONNRESET ? "the peer closed the connection" :
						     strerror(-ret));
		return;
	}
	mif_conn_message(&session->conn, &in.msg, in.fds, &actions);
	perform(session, &actions, in.fd);
	if (session->conn.state != MIF_STATE_UP && session->conn.state != MIF_STATE_CLOSED)
		set_deadline(session);
}

static void
bury(struct mif_watch *watch)
{
	free(container_of(watch, struct mif_session, watch));
}

/* On errors fd is closed. */
static struct mif_session *
create(int fd)
{
	struct mif_session *session = calloc(1, sizeof(*session));

	if (session == NULL) {
		close(fd);
		return NULL;
	}
	session->watch = (struct mif_watch){ .fd = fd, .ready = on_ready, .bury = bury };
	session->deadline.fire = on_deadline;
	session->born = mif_ctrl_now();
	if (mif_ctrl_watch(&session->watch) != 0) {
		close(fd);
		free(session);
		return NULL;
	}
	set_deadline(session);
	return session;
}

int
mif_session_connect(struct mif_port *port)
{
	int fd = mif_sock_connect(&port->args.addr);
	struct mif_session *session;

	if (fd < 0)
		return fd;
	session = create(fd);
	if (session == NULL)
		return -ENOMEM;
	session->port = port;
	port->session = session;
	mif_conn_start_client(&session->conn, &port->cfg);
	return 0;
}

void
mif_session_accept(struct mif_listener *listener, int fd)
{
	struct mif_session *session = create(fd);
	struct mif_actions actions;
	struct mif_limits limits;

	if (session == NULL)
		return;
	session->listener = listener;
	mif_listener_remember(listener, session);
	limits = mif_listener_limits(listener);
	mif_conn_start_server(&session->conn, mif_listener_name(listener), &limits, &actions);
	perform(session, &actions, -1);
}

bool
mif_session_hung_up(const struct mif_session *session)
{
	struct pollfd poll_fd = { .fd = session->watch.fd, .events = POLLRDHUP };

	return poll(&poll_fd, 1, 0) == 1 &&
			(poll_fd.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

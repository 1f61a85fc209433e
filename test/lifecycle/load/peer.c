/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "memif_chan.h"
#include "memif_ring.h"
#include "peer.h"

static void
forget(struct peer *peer)
{
	peer->sock = -1;
	for (int i = 0; i < MIF_REGIONS_MAX; i++)
		peer->regions[i] = MIF_REGION_NONE;
	memset(peer->event_fds, -1, sizeof(peer->event_fds));
}

static void
show_state(struct peer *peer)
{
	atomic_store(&peer->progress->state, (unsigned int)peer->conn.state);
}

void
peer_init(struct peer *peer)
{
	peer->listener.fd = -1;
	forget(peer);
}

void
peer_close(struct peer *peer)
{
	for (int i = 0; i < MIF_REGIONS_MAX; i++)
		mif_region_release(&peer->regions[i]);
	for (int dir = 0; dir < MIF_DIRS; dir++) {
		for (int i = 0; i < MIF_RINGS_MAX; i++) {
			if (peer->event_fds[dir][i] >= 0)
				close(peer->event_fds[dir][i]);
		}
	}
	if (peer->sock >= 0)
		mif_chan_close(peer->sock);
	forget(peer);
}

static int
build(struct peer *peer)
{
	struct mif_geometry *geometry = &peer->conn.geometry;
	struct mif_layout_cfg wanted = {
		.rings = { geometry->rings[MIF_C2S], geometry->rings[MIF_S2C] },
		.log2_ring_size = peer->conn.log2_ring_size,
		.buffer_size = 2048,
		.max_regions = peer->conn.limits.regions,
		.page_size = mif_region_page_size(),
	};
	struct mif_ring_place *place;
	int ret = mif_layout_plan(&peer->layout, geometry, &wanted);

	for (int i = 0; ret == 0 && i < geometry->regions; i++)
		ret = mif_region_create(&peer->regions[i], geometry->region_size[i], "mif-load");
	for (int dir = 0; ret == 0 && dir < MIF_DIRS; dir++) {
		for (int i = 0; i < geometry->rings[dir]; i++) {
			place = &geometry->ring[dir][i];
			mif_ring_format((struct mif_ring *)(void *)(peer->regions[place->region]
										    .addr +
					place->offset));
			peer->event_fds[dir][i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		}
	}
	return ret;
}

static int
file_of(const struct peer *peer, const struct mif_action *action)
{
	if (action->msg.type == MIF_MSG_ADD_REGION)
		return peer->regions[action->index].fd;
	if (action->msg.type == MIF_MSG_ADD_RING)
		return peer->event_fds[action->dir][action->index];
	return -1;
}

static void
act(struct peer *peer, const struct mif_action *action, int *fd, struct mif_actions *follow)
{
	struct mif_conn *conn = &peer->conn;
	const char *why = "";
	int ret = 0;

	switch (action->type) {
	case MIF_ACT_SEND:
		ret = mif_chan_send(peer->sock, &action->msg, file_of(peer, action));
		if (ret != 0)
			mif_conn_hangup(conn, strerror(-ret), follow);
		break;
	case MIF_ACT_BUILD:
		if (build(peer) == 0)
			mif_conn_built(conn, follow);
		else
			mif_conn_fail(conn, "no memory", follow);
		break;
	case MIF_ACT_BIND:
		mif_conn_bound(conn, &peer->cfg, NULL, follow);
		break;
	case MIF_ACT_TAKE_REGION:
		if (mif_region_adopt(&peer->regions[action->index], *fd,
				    conn->geometry.region_size[action->index], false, &why) != 0)
			mif_conn_fail(conn, why, follow);
		*fd = -1;
		break;
	case MIF_ACT_TAKE_RING:
		peer->event_fds[action->dir][action->index] = *fd;
		*fd = -1;
		break;
	case MIF_ACT_UP:
	case MIF_ACT_CLOSE:
		break; /* whoever looks at the state goes on from there */
	}
}

static void
perform(struct peer *peer, struct mif_actions *actions, int fd)
{
	struct mif_actions follow = { 0 };

	for (unsigned int i = 0; i < actions->count; i++) {
		act(peer, &actions->list[i], &fd, &follow);
		if (follow.count != 0) {
			*actions = follow;
			follow.count = 0;
			i = (unsigned int)-1;
		}
	}
	if (fd >= 0)
		close(fd);
	show_state(peer);
}

/* Counts what is about to be read or, first of all, to be said. */
static void
stop_here(struct peer *peer)
{
	if (++peer->messages == peer->stop_at)
		raise(peer->stop_signal);
}

int
peer_listen(struct peer *peer)
{
	const struct mif_sock_access any = {
		.uid = (uid_t)-1,
		.gid = (gid_t)-1,
		.mode = (mode_t)-1,
	};

	return mif_sock_listen(&peer->listener, &peer->addr, &any);
}

static int
connect_when_possible(const struct peer *peer)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	int fd;

	while ((fd = mif_sock_connect(&peer->addr)) == -ENOENT || fd == -ECONNREFUSED ||
			fd == -EAGAIN)
		nanosleep(&pause, NULL);
	return fd;
}

static int
accept_one(const struct peer *peer)
{
	struct pollfd ready = { .fd = peer->listener.fd, .events = POLLIN };
	int fd;

	while ((fd = mif_sock_accept(&peer->listener)) == -EAGAIN)
		poll(&ready, 1, -1);
	return fd;
}

int
peer_meet(struct peer *peer)
{
	const struct mif_limits limits = {
		.regions = MIF_REGIONS_MAX,
		.rings = { MIF_RINGS_MAX, MIF_RINGS_MAX },
		.log2_ring_size = MIF_LOG2_RING_MAX,
	};
	struct mif_actions actions = { 0 };

	peer->sock = peer->role == MIF_CLIENT ? connect_when_possible(peer) : accept_one(peer);
	if (peer->sock < 0)
		return peer->sock;
	atomic_fetch_add(&peer->progress->met, 1);
	peer->messages = 0;
	stop_here(peer);
	if (peer->role == MIF_CLIENT)
		mif_conn_start_client(&peer->conn, &peer->cfg);
	else
		mif_conn_start_server(&peer->conn, peer->cfg.name, &limits, &actions);
	perform(peer, &actions, -1);
	return 0;
}

void
peer_step(struct peer *peer, int wait_ms)
{
	struct pollfd ready = { .fd = peer->sock, .events = POLLIN };
	struct mif_actions actions = { 0 };
	struct mif_chan_msg in;
	int ret;

	if (wait_ms != 0)
		poll(&ready, 1, wait_ms);
	ret = mif_chan_recv(peer->sock, &in);
	if (ret == -EAGAIN)
		return;
	stop_here(peer);
	if (ret == 0) {
		mif_conn_message(&peer->conn, &in.msg, in.fds, &actions);
		perform(peer, &actions, in.fd);
	} else {
		mif_conn_hangup(&peer->conn, ret == -ECONNRESET ? "hung up" : strerror(-ret),
				&actions);
		perform(peer, &actions, -1);
	}
}

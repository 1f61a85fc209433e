/* SPDX-License-Identifier: BSD-3-Clause */

#include <stdio.h>
#include <string.h>

#include "memif_conn.h"

static struct mif_action *
add(struct mif_actions *actions, enum mif_action_type type)
{
	struct mif_action *action = &actions->list[actions->count++];

	memset(action, 0, sizeof(*action));
	action->type = type;
	return action;
}

static struct mif_action *
send(struct mif_actions *actions, struct mif_msg msg)
{
	struct mif_action *action = add(actions, MIF_ACT_SEND);

	action->msg = msg;
	return action;
}

static void
close_for(struct mif_conn *conn, const char *reason, bool by_peer, struct mif_actions *actions)
{
	snprintf(conn->reason, sizeof(conn->reason), "%s", reason);
	conn->by_peer = by_peer;
	memset(conn->secret, 0, sizeof(conn->secret));
	conn->state = MIF_STATE_CLOSED;
	add(actions, MIF_ACT_CLOSE);
}

void
mif_conn_fail(struct mif_conn *conn, const char *reason, struct mif_actions *actions)
{
	actions->count = 0;
	if (conn->state == MIF_STATE_CLOSED)
		return;
	send(actions, mif_msg_disconnect(reason));
	close_for(conn, reason, false, actions);
}

void
mif_conn_hangup(struct mif_conn *conn, const char *reason, struct mif_actions *actions)
{
	actions->count = 0;
	if (conn->state == MIF_STATE_CLOSED)
		return;
	close_for(conn, reason, false, actions);
}

static uint16_t
smaller(uint32_t a, uint32_t b)
{
	return (uint16_t)(a < b ? a : b);
}

static void
reset(struct mif_conn *conn, enum mif_role role, enum mif_state state)
{
	memset(conn, 0, sizeof(*conn));
	conn->role = role;
	conn->state = state;
}

void
mif_conn_start_client(struct mif_conn *conn, const struct mif_conn_cfg *cfg)
{
	reset(conn, MIF_CLIENT, MIF_STATE_WAIT_HELLO);
	conn->cfg = cfg;
}

void
mif_conn_start_server(struct mif_conn *conn, const char *name, const struct mif_limits *limits,
		struct mif_actions *actions)
{
	reset(conn, MIF_SERVER, MIF_STATE_WAIT_INIT);
	conn->limits = *limits;
	/* What the arrays of the geometry hold. */
	conn->limits.regions = smaller(limits->regions, MIF_REGIONS_MAX);
	conn->limits.rings[MIF_C2S] = smaller(limits->rings[MIF_C2S], MIF_RINGS_MAX);
	conn->limits.rings[MIF_S2C] = smaller(limits->rings[MIF_S2C], MIF_RINGS_MAX);
	conn->limits.log2_ring_size = (uint8_t)smaller(limits->log2_ring_size, MIF_LOG2_RING_MAX);
	actions->count = 0;
	send(actions, mif_msg_hello(name, &conn->limits));
}

static void
on_hello(struct mif_conn *conn, const struct mif_msg_hello *hello, struct mif_actions *actions)
{
	const struct mif_conn_cfg *cfg = conn->cfg;
	struct mif_geometry *geometry = &conn->geometry;
	uint32_t max[MIF_DIRS] = {
		[MIF_C2S] = (uint32_t)hello->max_c2s_ring + 1,
		[MIF_S2C] = (uint32_t)hello->max_s2c_ring + 1,
	};

	if (hello->min_version > MIF_VERSION || hello->max_version < MIF_VERSION) {
		mif_conn_fail(conn, "incompatible version", actions);
		return;
	}
	conn->log2_ring_size = (uint8_t)smaller(cfg->log2_ring_size, hello->max_log2_ring_size);
	if (conn->log2_ring_size < MIF_LOG2_RING_MIN) {
		mif_conn_fail(conn, "ring size limit of HELLO is too small", actions);
		return;
	}
	mif_msg_get_string(conn->peer_name, sizeof(conn->peer_name), hello->name,
			sizeof(hello->name));
	for (int dir = 0; dir < MIF_DIRS; dir++) {
		conn->limits.rings[dir] = smaller(max[dir], MIF_RINGS_MAX);
		geometry->rings[dir] = smaller(cfg->rings[dir], conn->limits.rings[dir]);
	}
	conn->limits.regions = smaller((uint32_t)hello->max_region + 1, MIF_REGIONS_MAX);
	conn->limits.log2_ring_size = hello->max_log2_ring_size;
	conn->state = MIF_STATE_BUILD;
	add(actions, MIF_ACT_BUILD);
}

void
mif_conn_built(struct mif_conn *conn, struct mif_actions *actions)
{
	const struct mif_conn_cfg *cfg = conn->cfg;

	actions->count = 0;
	if (conn->state != MIF_STATE_BUILD)
		return;
	if (conn->geometry.regions == 0) {
		mif_conn_fail(conn, "no memory to offer", actions);
		return;
	}
	conn->state = MIF_STATE_WAIT_INIT_ACK;
	send(actions, mif_msg_init(cfg->id, cfg->mode, cfg->secret, cfg->name));
}

static void
send_region(struct mif_conn *conn, uint16_t index, struct mif_actions *actions)
{
	uint64_t size = conn->geometry.region_size[index];

	conn->state = MIF_STATE_ADD_REGION;
	conn->index = index;
	send(actions, mif_msg_add_region(index, size))->index = index;
}

/* The next ring from (dir, index) on, or CONNECT when all have been sent. */
static void
send_ring(struct mif_conn *conn, enum mif_dir dir, uint16_t index, struct mif_actions *actions)
{
	const struct mif_geometry *geometry = &conn->geometry;
	const struct mif_ring_place *place;
	struct mif_action *action;

	if (dir == MIF_C2S && index >= geometry->rings[MIF_C2S]) {
		dir = MIF_S2C;
		index = 0;
	}
	if (index >= geometry->rings[dir]) {
		conn->state = MIF_STATE_WAIT_CONNECTED;
		send(actions, mif_msg_connect(conn->cfg->if_name));
		return;
	}
	conn->state = MIF_STATE_ADD_RING;
	conn->dir = dir;
	conn->index = index;
	place = &geometry->ring[dir][index];
	action = send(actions,
			mif_msg_add_ring(dir, index, place->region, place->offset,
					place->log2_ring_size));
	action->dir = dir;
	action->index = index;
}

static void
on_ack(struct mif_conn *conn, struct mif_actions *actions)
{
	if (conn->state == MIF_STATE_WAIT_INIT_ACK)
		send_region(conn, 0, actions);
	else if (conn->state == MIF_STATE_ADD_RING)
		send_ring(conn, conn->dir, (uint16_t)(conn->index + 1), actions);
	else if (conn->index + 1 < conn->geometry.regions)
		send_region(conn, (uint16_t)(conn->index + 1), actions);
	else
		send_ring(conn, MIF_C2S, 0, actions);
}

static void
on_connected(struct mif_conn *conn, const struct mif_msg_connect *connected,
		struct mif_actions *actions)
{
	mif_msg_get_string(conn->peer_if_name, sizeof(conn->peer_if_name), connected->if_name,
			sizeof(connected->if_name));
	conn->state = MIF_STATE_UP;
	add(actions, MIF_ACT_UP);
}

static void
on_init(struct mif_conn *conn, const struct mif_msg_init *init, struct mif_actions *actions)
{
	if (init->version != MIF_VERSION) {
		mif_conn_fail(conn, "incompatible version", actions);
		return;
	}
	conn->id = init->id;
	conn->mode = init->mode;
	memcpy(conn->secret, init->secret, sizeof(conn->secret));
	mif_msg_get_string(conn->peer_name, sizeof(conn->peer_name), init->name,
			sizeof(init->name));
	conn->state = MIF_STATE_BIND;
	add(actions, MIF_ACT_BIND);
}

/* In constant time: how long it takes does not tell how much of a guess was right. */
static uint8_t
secret_bits(const uint8_t a[MIF_SECRET_LEN], const uint8_t b[MIF_SECRET_LEN])
{
	uint8_t bits = 0;

	for (int i = 0; i < MIF_SECRET_LEN; i++)
		bits |= (uint8_t)(a[i] ^ b[i]);
	return bits;
}

static const char *
secret_refusal(const uint8_t wanted[MIF_SECRET_LEN], const uint8_t given[MIF_SECRET_LEN])
{
	static const uint8_t none[MIF_SECRET_LEN];

	if (secret_bits(wanted, none) == 0 || secret_bits(wanted, given) == 0)
		return NULL;
	return secret_bits(given, none) == 0 ? "secret required" : "incorrect secret";
}

void
mif_conn_bound(struct mif_conn *conn, const struct mif_conn_cfg *cfg, const char *refusal,
		struct mif_actions *actions)
{
	const char *reason;

	actions->count = 0;
	if (conn->state != MIF_STATE_BIND)
		return;
	if (cfg == NULL)
		reason = "unmatched interface id";
	else if ((reason = secret_refusal(cfg->secret, conn->secret)) == NULL)
		reason = cfg->mode != conn->mode ? "mode mismatch" : refusal;
	memset(conn->secret, 0, sizeof(conn->secret));
	if (reason != NULL) {
		mif_conn_fail(conn, reason, actions);
		return;
	}
	conn->cfg = cfg;
	conn->state = MIF_STATE_SETUP;
	send(actions, mif_msg_ack());
}

static void
on_add_region(struct mif_conn *conn, const struct mif_msg_add_region *region,
		struct mif_actions *actions)
{
	struct mif_geometry *geometry = &conn->geometry;

	if (region->index != geometry->regions || region->index >= conn->limits.regions) {
		mif_conn_fail(conn, "invalid region index", actions);
		return;
	}
	if (region->size == 0) {
		mif_conn_fail(conn, "empty region", actions);
		return;
	}
	geometry->region_size[geometry->regions++] = region->size;
	add(actions, MIF_ACT_TAKE_REGION)->index = region->index;
	send(actions, mif_msg_ack());
}

static bool
overlaps(const struct mif_geometry *geometry, const struct mif_ring_place *place)
{
	uint64_t first = place->offset;
	uint64_t end = first + mif_ring_bytes(place->log2_ring_size);
	const struct mif_ring_place *other;

	for (int dir = 0; dir < MIF_DIRS; dir++) {
		for (int i = 0; i < geometry->rings[dir]; i++) {
			other = &geometry->ring[dir][i];
			if (other->region == place->region && other->offset < end &&
					first < other->offset + mif_ring_bytes(other->log2_ring_size))
				return true;
		}
	}
	return false;
}

static const char *
ring_refusal(const struct mif_conn *conn, enum mif_dir dir, uint16_t index,
		const struct mif_ring_place *place)
{
	const struct mif_geometry *geometry = &conn->geometry;
	uint64_t end = place->offset;

	if (index != geometry->rings[dir] || index >= conn->limits.rings[dir])
		return "invalid ring index";
	if (place->log2_ring_size < MIF_LOG2_RING_MIN ||
			place->log2_ring_size > conn->limits.log2_ring_size)
		return "invalid ring size";
	if (place->region >= geometry->regions)
		return "ring in an unknown region";
	if (place->offset % MIF_RING_ALIGN != 0)
		return "misaligned ring";
	end += mif_ring_bytes(place->log2_ring_size);
	if (end > geometry->region_size[place->region])
		return "ring outside its region";
	if (overlaps(geometry, place))
		return "overlapping rings";
	return NULL;
}

static void
on_add_ring(struct mif_conn *conn, const struct mif_msg_add_ring *ring, struct mif_actions *actions)
{
	struct mif_geometry *geometry = &conn->geometry;
	enum mif_dir dir = (ring->flags & MIF_RING_FLAG_C2S) != 0 ? MIF_C2S : MIF_S2C;
	struct mif_ring_place place = {
		.region = ring->region,
		.offset = ring->offset,
		.log2_ring_size = ring->log2_ring_size,
	};
	const char *reason = ring_refusal(conn, dir, ring->index, &place);
	struct mif_action *action;

	if (reason != NULL) {
		mif_conn_fail(conn, reason, actions);
		return;
	}
	geometry->ring[dir][geometry->rings[dir]++] = place;
	action = add(actions, MIF_ACT_TAKE_RING);
	action->dir = dir;
	action->index = ring->index;
	send(actions, mif_msg_ack());
}

static void
on_connect(struct mif_conn *conn, const struct mif_msg_connect *connect,
		struct mif_actions *actions)
{
	const struct mif_geometry *geometry = &conn->geometry;

	if (geometry->rings[MIF_C2S] == 0 && geometry->rings[MIF_S2C] == 0) {
		mif_conn_fail(conn, "no rings", actions);
		return;
	}
	mif_msg_get_string(conn->peer_if_name, sizeof(conn->peer_if_name), connect->if_name,
			sizeof(connect->if_name));
	conn->state = MIF_STATE_UP;
	add(actions, MIF_ACT_UP);
	send(actions, mif_msg_connected(conn->cfg->if_name));
}

static void
on_disconnect(struct mif_conn *conn, const struct mif_msg_disconnect *disconnect,
		struct mif_actions *actions)
{
	char reason[MIF_REASON_LEN + 1];

	mif_msg_get_string(reason, sizeof(reason), disconnect->string, sizeof(disconnect->string));
	conn->ring_refused = conn->state == MIF_STATE_ADD_RING;
	close_for(conn, reason[0] == '\0' ? "no reason given" : reason, true, actions);
}

void
mif_conn_message(struct mif_conn *conn, const struct mif_msg *msg, unsigned int fds,
		struct mif_actions *actions)
{
	const char *reason = mif_msg_check(conn->role, conn->state, msg, fds);

	actions->count = 0;
	if (reason != NULL) {
		mif_conn_fail(conn, reason, actions);
		return;
	}
	switch (msg->type) {
	case MIF_MSG_ACK:
		on_ack(conn, actions);
		break;
	case MIF_MSG_HELLO:
		on_hello(conn, &msg->hello, actions);
		break;
	case MIF_MSG_INIT:
		on_init(conn, &msg->init, actions);
		break;
	case MIF_MSG_ADD_REGION:
		on_add_region(conn, &msg->add_region, actions);
		break;
	case MIF_MSG_ADD_RING:
		on_add_ring(conn, &msg->add_ring, actions);
		break;
	case MIF_MSG_CONNECT:
		on_connect(conn, &msg->connect, actions);
		break;
	case MIF_MSG_CONNECTED:
		on_connected(conn, &msg->connected, actions);
		break;
	default: /* the check has left nothing but DISCONNECT */
		on_disconnect(conn, &msg->disconnect, actions);
		break;
	}
}

/* SPDX-License-Identifier: BSD-3-Clause */

#include "conn_model.h"
#include "fuzz.h"

#define SMALLER(a, b) ((a) < (b) ? (a) : (b))

static struct model_action *
want(struct conn_model *model, enum mif_action_type type)
{
	struct model_action *action = &model->wanted[model->count++];

	*action = (struct model_action){ .type = type };
	return action;
}

static struct model_action *
want_sent(struct conn_model *model, uint16_t msg_type)
{
	struct model_action *action = want(model, MIF_ACT_SEND);

	action->msg_type = msg_type;
	return action;
}

void
model_start_client(struct conn_model *model, const struct mif_conn_cfg *cfg)
{
	memset(model, 0, sizeof(*model));
	model->role = MIF_CLIENT;
	model->state = MIF_STATE_WAIT_HELLO;
	model->cfg = cfg;
}

void
model_start_server(struct conn_model *model, const struct mif_limits *limits)
{
	memset(model, 0, sizeof(*model));
	model->role = MIF_SERVER;
	model->state = MIF_STATE_WAIT_INIT;
	model->limits = *limits;
	want_sent(model, MIF_MSG_HELLO);
}

void
model_hangup(struct conn_model *model)
{
	model->count = 0;
	if (model->state == MIF_STATE_CLOSED)
		return;
	model->state = MIF_STATE_CLOSED;
	want(model, MIF_ACT_CLOSE);
}

void
model_fail(struct conn_model *model)
{
	model->count = 0;
	if (model->state == MIF_STATE_CLOSED)
		return;
	model->state = MIF_STATE_CLOSED;
	want_sent(model, MIF_MSG_DISCONNECT);
	want(model, MIF_ACT_CLOSE);
}

/* Each handler: false when the message has to be refused. */

static bool
on_hello(struct conn_model *model, const struct mif_msg *msg)
{
	uint64_t log2 = model_field(msg, 44, 1);

	if (model->state != MIF_STATE_WAIT_HELLO || model_field(msg, 34, 2) > 0x200 ||
			model_field(msg, 36, 2) < 0x200 || log2 < 1 ||
			model->cfg->log2_ring_size < 1)
		return false;
	model->limits.regions = (uint16_t)SMALLER(model_field(msg, 38, 2) + 1, 256u);
	model->limits.rings[MIF_S2C] = (uint16_t)SMALLER(model_field(msg, 40, 2) + 1, 255u);
	model->limits.rings[MIF_C2S] = (uint16_t)SMALLER(model_field(msg, 42, 2) + 1, 255u);
	model->limits.log2_ring_size = (uint8_t)log2;
	model->state = MIF_STATE_BUILD;
	want(model, MIF_ACT_BUILD);
	return true;
}

/* A client's next message: regions, rings to the server, rings from it, and then CONNECT. */
static bool
on_ack(struct conn_model *model)
{
	uint32_t index = model->sent;
	struct model_action *action;

	if (model->role != MIF_CLIENT ||
			(model->state != MIF_STATE_WAIT_INIT_ACK &&
					model->state != MIF_STATE_ADD_REGION &&
					model->state != MIF_STATE_ADD_RING))
		return false;
	if (index < model->regions) {
		model->state = MIF_STATE_ADD_REGION;
		want_sent(model, MIF_MSG_ADD_REGION)->index = (uint16_t)index;
		model->sent++;
		return true;
	}
	index -= model->regions;
	for (int dir = 0; dir < MIF_DIRS; dir++) {
		if (index < model->rings[dir]) {
			model->state = MIF_STATE_ADD_RING;
			action = want_sent(model, MIF_MSG_ADD_RING);
			action->dir = (enum mif_dir)dir;
			action->index = (uint16_t)index;
			model->sent++;
			return true;
		}
		index -= model->rings[dir];
	}
	model->state = MIF_STATE_WAIT_CONNECTED;
	want_sent(model, MIF_MSG_CONNECT);
	return true;
}

static bool
on_init(struct conn_model *model, const struct mif_msg *msg)
{
	if (model->state != MIF_STATE_WAIT_INIT || model_field(msg, 2, 2) != 0x200)
		return false;
	model->given_mode = (uint8_t)model_field(msg, 8, 1);
	memcpy(model->given_secret, (const uint8_t *)msg + 9, MIF_SECRET_LEN);
	model->state = MIF_STATE_BIND;
	want(model, MIF_ACT_BIND);
	return true;
}

static bool
on_add_region(struct conn_model *model, const struct mif_msg *msg)
{
	uint64_t index = model_field(msg, 2, 2);
	uint64_t size = model_field(msg, 4, 8);

	if (model->state != MIF_STATE_SETUP || index != model->regions ||
			index >= model->limits.regions || size == 0)
		return false;
	model->region_size[model->regions++] = size;
	want(model, MIF_ACT_TAKE_REGION)->index = (uint16_t)index;
	want_sent(model, MIF_MSG_ACK);
	return true;
}

static bool
is_free(const struct conn_model *model, const struct model_ring *ring)
{
	const struct model_ring *other;

	for (int dir = 0; dir < MIF_DIRS; dir++) {
		for (uint32_t i = 0; i < model->rings[dir]; i++) {
			other = &model->ring[dir][i];
			if (other->region == ring->region &&
					!(ring->end <= other->first || other->end <= ring->first))
				return false;
		}
	}
	return true;
}

static bool
on_add_ring(struct conn_model *model, const struct mif_msg *msg)
{
	enum mif_dir dir = (model_field(msg, 2, 2) & 1) != 0 ? MIF_C2S : MIF_S2C;
	uint64_t index = model_field(msg, 4, 2);
	uint64_t log2 = model_field(msg, 12, 1);
	struct model_ring ring = {
		.region = (uint16_t)model_field(msg, 6, 2),
		.first = model_field(msg, 8, 4),
	};
	struct model_action *action;

	if (model->state != MIF_STATE_SETUP || index != model->rings[dir] ||
			index >= model->limits.rings[dir] || log2 < 1 ||
			log2 > model->limits.log2_ring_size || ring.region >= model->regions ||
			ring.first % 16 != 0)
		return false;
	ring.end = ring.first + 128 + 16 * (UINT64_C(1) << log2);
	if (ring.end > model->region_size[ring.region] || !is_free(model, &ring))
		return false;
	model->ring[dir][model->rings[dir]++] = ring;
	action = want(model, MIF_ACT_TAKE_RING);
	action->dir = dir;
	action->index = (uint16_t)index;
	want_sent(model, MIF_MSG_ACK);
	return true;
}

static bool
on_connect(struct conn_model *model)
{
	if (model->state != MIF_STATE_SETUP || model->rings[MIF_C2S] + model->rings[MIF_S2C] == 0)
		return false;
	model->state = MIF_STATE_UP;
	want(model, MIF_ACT_UP);
	want_sent(model, MIF_MSG_CONNECTED);
	return true;
}

static bool
on_connected(struct conn_model *model)
{
	if (model->state != MIF_STATE_WAIT_CONNECTED)
		return false;
	model->state = MIF_STATE_UP;
	want(model, MIF_ACT_UP);
	return true;
}

static bool
take(struct conn_model *model, const struct mif_msg *msg, unsigned int fds)
{
	uint64_t type = model_field(msg, 0, 2);

	if (fds != (type == 4 || type == 5))
		return false;
	switch (type) {
	case 1:
		return on_ack(model);
	case 2:
		return on_hello(model, msg);
	case 3:
		return on_init(model, msg);
	case 4:
		return on_add_region(model, msg);
	case 5:
		return on_add_ring(model, msg);
	case 6:
		return on_connect(model);
	case 7:
		return on_connected(model);
	case 8:
		model->by_peer |= model->state != MIF_STATE_CLOSED;
		model_hangup(model);
		return true;
	default:
		return false;
	}
}

void
model_message(struct conn_model *model, const struct mif_msg *msg, unsigned int fds)
{
	model->count = 0;
	if (!take(model, msg, fds))
		model_fail(model);
}

void
model_built(struct conn_model *model, const struct mif_geometry *geometry)
{
	model->count = 0;
	if (model->state != MIF_STATE_BUILD)
		return;
	model->regions = geometry->regions;
	model->rings[MIF_C2S] = geometry->rings[MIF_C2S];
	model->rings[MIF_S2C] = geometry->rings[MIF_S2C];
	model->state = MIF_STATE_WAIT_INIT_ACK;
	want_sent(model, MIF_MSG_INIT);
}

void
model_bound(struct conn_model *model, const struct mif_conn_cfg *cfg, const char *refusal)
{
	static const uint8_t none[MIF_SECRET_LEN];

	model->count = 0;
	if (model->state != MIF_STATE_BIND)
		return;
	if (cfg == NULL || refusal != NULL || cfg->mode != model->given_mode ||
			(memcmp(cfg->secret, none, sizeof(none)) != 0 &&
					memcmp(cfg->secret, model->given_secret, sizeof(none)) !=
							0)) {
		model_fail(model);
		return;
	}
	model->cfg = cfg;
	model->state = MIF_STATE_SETUP;
	want_sent(model, MIF_MSG_ACK);
}

static void
compare_actions(const struct conn_model *model, const struct mif_actions *actions)
{
	const struct mif_action *got;
	const struct model_action *wanted;

	FUZZ_CHECK(actions->count == model->count, "%u actions, wanted %u", actions->count,
			model->count);
	for (unsigned int i = 0; i < model->count; i++) {
		got = &actions->list[i];
		wanted = &model->wanted[i];
		FUZZ_CHECK(got->type == wanted->type, "action %u is %d, wanted %d", i, got->type,
				wanted->type);
		FUZZ_CHECK(got->dir == wanted->dir && got->index == wanted->index,
				"action %u is of (%d, %u), wanted (%d, %u)", i, got->dir,
				got->index, wanted->dir, wanted->index);
		FUZZ_CHECK(got->type != MIF_ACT_SEND || got->msg.type == wanted->msg_type,
				"sends %u, wanted %u", got->msg.type, wanted->msg_type);
	}
}

static void
compare_geometry(const struct conn_model *model, const struct mif_geometry *geometry)
{
	FUZZ_CHECK(geometry->regions == model->regions, "%u regions", geometry->regions);
	for (uint32_t i = 0; i < model->regions; i++)
		FUZZ_CHECK(geometry->region_size[i] == model->region_size[i], "region %u", i);
	for (int dir = 0; dir < MIF_DIRS; dir++) {
		FUZZ_CHECK(geometry->rings[dir] == model->rings[dir], "%u rings",
				geometry->rings[dir]);
		for (uint32_t i = 0; i < model->rings[dir]; i++) {
			const struct mif_ring_place *place = &geometry->ring[dir][i];
			const struct model_ring *ring = &model->ring[dir][i];

			FUZZ_CHECK(place->region == ring->region && place->offset == ring->first &&
							ring->end - ring->first ==
									mif_ring_bytes(place->log2_ring_size),
					"ring (%d, %u)", dir, i);
		}
	}
}

static void
check_text(const char *text, size_t size)
{
	size_t end = strnlen(text, size);

	FUZZ_CHECK(end < size, "no terminator");
	for (size_t i = 0; i < end; i++)
		FUZZ_CHECK(text[i] >= ' ' && text[i] <= '~', "byte %d in a text", text[i]);
}

void
model_compare(const struct conn_model *model, const struct mif_conn *conn,
		const struct mif_actions *actions)
{
	static const uint8_t none[MIF_SECRET_LEN];

	FUZZ_CHECK(conn->state == model->state, "is '%s', wanted '%s'; %s",
			mif_state_name(conn->state), mif_state_name(model->state), conn->reason);
	compare_actions(model, actions);
	if (model->role == MIF_SERVER)
		compare_geometry(model, &conn->geometry);
	check_text(conn->peer_name, sizeof(conn->peer_name));
	check_text(conn->peer_if_name, sizeof(conn->peer_if_name));
	check_text(conn->reason, sizeof(conn->reason));
	FUZZ_CHECK((conn->reason[0] != '\0') == (conn->state == MIF_STATE_CLOSED), "reason '%s'",
			conn->reason);
	FUZZ_CHECK(conn->by_peer == model->by_peer, "whose reason?");
	FUZZ_CHECK(model->state == MIF_STATE_BIND || model->state == MIF_STATE_CLOSED ||
					memcmp(conn->secret, none, sizeof(none)) == 0,
			"the secret is kept");
}

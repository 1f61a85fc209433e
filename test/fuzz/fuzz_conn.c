/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The state machine of both roles: a sequence of events, each compared with the model. Most events
 * are messages that the state takes, with fields that may be wrong, so that sequences get far.
 */

#include "conn_model.h"
#include "fuzz.h"
#include "memif_layout.h"
#include "memif_pack.h"

#define EVENTS_MAX 1200

/* Everything about one input. */
struct run {
	struct fuzz_input in;
	struct mif_conn conn;
	struct conn_model model;
	struct mif_conn_cfg cfg;
	uint32_t buffer_size;
	struct mif_layout layout;
};

static void
put(struct mif_msg *msg, unsigned int offset, unsigned int bytes, uint64_t value)
{
	for (unsigned int i = 0; i < bytes; i++)
		((uint8_t *)msg)[offset + i] = (uint8_t)(value >> (8 * i));
}

/* Mostly what is right; now and then a value beside it, or any. */
static uint64_t
about(struct run *run, uint64_t right)
{
	uint8_t choice = fuzz_u8(&run->in);

	if (choice < 240)
		return right;
	if (choice < 248)
		return right + choice - 244;
	return fuzz_u64(&run->in);
}

static void
make_hello(struct run *run, struct mif_msg *msg)
{
	fuzz_bytes(&run->in, (uint8_t *)msg + 2, MIF_NAME_LEN);
	put(msg, 34, 2, about(run, 0x200));
	put(msg, 36, 2, about(run, 0x200));
	put(msg, 38, 2, about(run, fuzz_u8(&run->in)));
	put(msg, 40, 2, about(run, fuzz_u8(&run->in)));
	put(msg, 42, 2, about(run, fuzz_u8(&run->in)));
	put(msg, 44, 1, about(run, fuzz_range(&run->in, 1, 14)));
}

static void
make_init(struct run *run, struct mif_msg *msg)
{
	put(msg, 2, 2, about(run, 0x200));
	put(msg, 4, 4, about(run, run->cfg.id));
	put(msg, 8, 1, about(run, run->cfg.mode));
	memcpy((uint8_t *)msg + 9, run->cfg.secret, MIF_SECRET_LEN);
	put(msg, 9 + fuzz_range(&run->in, 0, MIF_SECRET_LEN - 1), 1, about(run, 0));
	fuzz_bytes(&run->in, (uint8_t *)msg + 33, MIF_NAME_LEN);
}

static void
make_add_region(struct run *run, struct mif_msg *msg)
{
	uint64_t size = fuzz_u16(&run->in);

	put(msg, 2, 2, about(run, run->model.regions));
	put(msg, 4, 8, about(run, size << fuzz_range(&run->in, 0, 20)));
}

/* Behind the ring before, unless the input wants it elsewhere. */
static void
make_add_ring(struct run *run, struct mif_msg *msg)
{
	const struct conn_model *model = &run->model;
	enum mif_dir dir = fuzz_u8(&run->in) & 1;
	uint32_t count = model->rings[dir];
	uint64_t offset = count == 0 ? 0 : model->ring[dir][count - 1].end;
	uint16_t region = count == 0 ? 0 : model->ring[dir][count - 1].region;

	put(msg, 2, 2, about(run, dir == MIF_C2S));
	put(msg, 4, 2, about(run, count));
	put(msg, 6, 2, about(run, region));
	put(msg, 8, 4, about(run, offset + 16 * fuzz_u8(&run->in)));
	put(msg, 12, 1, about(run, fuzz_range(&run->in, 1, 14)));
}

/* The body of a message that is right, or nearly. */
static void
make_body(struct run *run, struct mif_msg *msg)
{
	switch (msg->type) {
	case MIF_MSG_HELLO:
		make_hello(run, msg);
		break;
	case MIF_MSG_INIT:
		make_init(run, msg);
		break;
	case MIF_MSG_ADD_REGION:
		make_add_region(run, msg);
		break;
	case MIF_MSG_ADD_RING:
		make_add_ring(run, msg);
		break;
	default:
		fuzz_bytes(&run->in, msg->body, fuzz_range(&run->in, 0, 126));
		break;
	}
}

static uint16_t
usual_type(struct run *run)
{
	static const uint16_t setup[] = { MIF_MSG_ADD_REGION, MIF_MSG_ADD_RING, MIF_MSG_ADD_RING,
		MIF_MSG_CONNECT };

	switch (run->conn.state) {
	case MIF_STATE_WAIT_HELLO:
		return MIF_MSG_HELLO;
	case MIF_STATE_WAIT_CONNECTED:
		return MIF_MSG_CONNECTED;
	case MIF_STATE_WAIT_INIT:
		return MIF_MSG_INIT;
	case MIF_STATE_SETUP:
		return setup[fuzz_range(&run->in, 0, COUNT_OF(setup) - 1)];
	case MIF_STATE_UP:
		return MIF_MSG_DISCONNECT;
	default:
		return MIF_MSG_ACK;
	}
}

static void
send_message(struct run *run, uint16_t type, struct mif_actions *actions)
{
	struct mif_msg msg = { .type = type };
	unsigned int fds = type == MIF_MSG_ADD_REGION || type == MIF_MSG_ADD_RING;

	make_body(run, &msg);
	fds = (unsigned int)about(run, fds);
	mif_conn_message(&run->conn, &msg, fds, actions);
	model_message(&run->model, &msg, fds);
}

static void
check_layout(struct run *run)
{
	const struct mif_geometry *geometry = &run->conn.geometry;
	uint64_t buffers, end;

	FUZZ_CHECK(geometry->regions <= run->model.limits.regions, "%u regions", geometry->regions);
	for (int dir = 0; dir < MIF_DIRS; dir++) {
		FUZZ_CHECK(geometry->rings[dir] <= run->model.limits.rings[dir] &&
						geometry->rings[dir] <= run->cfg.rings[dir],
				"%u rings", geometry->rings[dir]);
		for (uint16_t i = 0; i < geometry->rings[dir]; i++) {
			const struct mif_ring_place *place = &geometry->ring[dir][i];
			const struct mif_buffer_run *buffer = &run->layout.run[dir][i];

			FUZZ_CHECK(place->log2_ring_size <= run->model.limits.log2_ring_size,
					"log2 %u", place->log2_ring_size);
			end = place->offset + mif_ring_bytes(place->log2_ring_size);
			FUZZ_CHECK(end <= geometry->region_size[place->region], "ring %u", i);
			buffers = dir == MIF_C2S ?
					mif_pack_bytes(buffer->stride, place->log2_ring_size) :
					(uint64_t)buffer->stride << place->log2_ring_size;
			end = buffer->offset + buffers;
			FUZZ_CHECK(end <= geometry->region_size[buffer->region] &&
							end <= UINT64_C(1) << 32,
					"buffers of ring %u", i);
		}
	}
}

/* What the driver does for MIF_ACT_BUILD, without the memory. */
static void
build(struct run *run, struct mif_actions *actions)
{
	struct mif_geometry *geometry = &run->conn.geometry;
	struct mif_layout_cfg wanted = {
		.rings = { geometry->rings[MIF_C2S], geometry->rings[MIF_S2C] },
		.log2_ring_size = run->conn.log2_ring_size,
		.buffer_size = run->buffer_size,
		.max_regions = run->conn.limits.regions,
		.page_size = 4096,
	};

	if (run->conn.state == MIF_STATE_BUILD &&
			mif_layout_plan(&run->layout, geometry, &wanted) != 0) {
		mif_conn_fail(&run->conn, "rings do not fit", actions);
		model_fail(&run->model);
		return;
	}
	if (run->conn.state == MIF_STATE_BUILD)
		check_layout(run);
	mif_conn_built(&run->conn, actions);
	model_built(&run->model, geometry);
}

static void
bind(struct run *run, struct mif_actions *actions)
{
	uint8_t choice = fuzz_u8(&run->in);
	const struct mif_conn_cfg *cfg = choice < 240 ? &run->cfg : NULL;
	const char *refusal = choice >= 230 ? "already connected" : NULL;

	mif_conn_bound(&run->conn, cfg, refusal, actions);
	model_bound(&run->model, cfg, refusal);
}

/* The driver's answer to BUILD and BIND is not always the next event: the peer may speak first. */
static void
one_event(struct run *run, struct mif_actions *actions)
{
	uint8_t choice = fuzz_u8(&run->in);

	if (choice < 180) {
		if (run->conn.state == MIF_STATE_BUILD)
			build(run, actions);
		else if (run->conn.state == MIF_STATE_BIND)
			bind(run, actions);
		else
			send_message(run, usual_type(run), actions);
	} else if (choice < 220) {
		send_message(run, (uint16_t)about(run, fuzz_range(&run->in, 0, 8)), actions);
	} else if (choice < 230) {
		build(run, actions);
	} else if (choice < 240) {
		bind(run, actions);
	} else if (choice < 248) {
		mif_conn_fail(&run->conn, "the driver gives up", actions);
		model_fail(&run->model);
	} else {
		mif_conn_hangup(&run->conn, "the peer has gone", actions);
		model_hangup(&run->model);
	}
}

static void
start(struct run *run, struct mif_actions *actions)
{
	struct fuzz_input *in = &run->in;
	struct mif_limits limits;

	run->cfg.id = fuzz_u8(in);
	run->cfg.mode = fuzz_u8(in) & 1;
	run->cfg.log2_ring_size = (uint8_t)fuzz_range(in, MIF_LOG2_RING_MIN, MIF_LOG2_RING_MAX);
	run->cfg.rings[MIF_C2S] = fuzz_u8(in);
	run->cfg.rings[MIF_S2C] = fuzz_u8(in);
	fuzz_bytes(in, run->cfg.secret, (fuzz_u8(in) & 1) * MIF_SECRET_LEN);
	fuzz_bytes(in, run->cfg.name, sizeof(run->cfg.name) - 1);
	fuzz_bytes(in, run->cfg.if_name, sizeof(run->cfg.if_name) - 1);
	run->buffer_size = fuzz_u16(in);
	actions->count = 0;
	if ((fuzz_u8(in) & 1) == 0) {
		mif_conn_start_client(&run->conn, &run->cfg);
		model_start_client(&run->model, &run->cfg);
		return;
	}
	limits.regions = (uint16_t)(fuzz_range(in, 0, 255) + 1);
	limits.rings[MIF_C2S] = (uint16_t)fuzz_range(in, 1, MIF_RINGS_MAX);
	limits.rings[MIF_S2C] = (uint16_t)fuzz_range(in, 1, MIF_RINGS_MAX);
	limits.log2_ring_size = (uint8_t)fuzz_range(in, MIF_LOG2_RING_MIN, MIF_LOG2_RING_MAX);
	mif_conn_start_server(&run->conn, run->cfg.name, &limits, actions);
	model_start_server(&run->model, &limits);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct run run;
	struct mif_actions actions;

	memset(&run, 0, sizeof(run));
	run.in = (struct fuzz_input){ data, size };
	start(&run, &actions);
	model_compare(&run.model, &run.conn, &actions);
	for (int i = 0; i < EVENTS_MAX && run.in.left != 0; i++) {
		one_event(&run, &actions);
		model_compare(&run.model, &run.conn, &actions);
	}
	return 0;
}

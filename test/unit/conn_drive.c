/* SPDX-License-Identifier: BSD-3-Clause */

#include <stdlib.h>

#include "conn_drive.h"

#define FENCE 0xa5

const struct mif_conn_cfg drive_client_cfg = {
	.id = 7,
	.mode = MIF_MODE_ETHERNET,
	.log2_ring_size = DRIVE_LOG2,
	.rings = { 1, 1 },
	.name = "client program",
	.if_name = "client port",
};

const struct mif_conn_cfg drive_server_cfg = {
	.id = 7,
	.mode = MIF_MODE_ETHERNET,
	.log2_ring_size = 14,
	.rings = { 255, 255 },
	.name = "server program",
	.if_name = "server port",
};

const struct mif_limits drive_limits = {
	.regions = 256,
	.rings = { 255, 255 },
	.log2_ring_size = 14,
};

struct mif_msg
drive_hello(void)
{
	struct mif_msg msg = { .type = 2 };

	msg.hello.min_version = 0x200;
	msg.hello.max_version = 0x200;
	msg.hello.max_region = 255;
	msg.hello.max_s2c_ring = 254;
	msg.hello.max_c2s_ring = 254;
	msg.hello.max_log2_ring_size = 14;
	memcpy(msg.hello.name, "server program", 14);
	return msg;
}

struct mif_msg
drive_good_message(uint16_t type)
{
	struct mif_msg msg = { .type = type };

	switch (type) {
	case 2:
		return drive_hello();
	case 3:
		msg.init.version = 0x200;
		msg.init.id = 7;
		break;
	case 4:
		msg.add_region.index = 2;
		msg.add_region.size = DRIVE_REGION_SIZE;
		break;
	case 5:
		msg.add_ring.flags = 1;
		msg.add_ring.log2_ring_size = DRIVE_LOG2;
		break;
	case 8:
		memcpy(msg.disconnect.string, "had enough", 10);
		break;
	default:
		break;
	}
	return msg;
}

void
drive_check_fence(const struct drive *drive)
{
	assert_true(drive->actions.count <= MIF_ACTIONS_MAX);
	for (size_t i = 0; i < sizeof(drive->fence); i++)
		assert_int_equal(drive->fence[i], FENCE);
}

static void
begin(struct drive *drive)
{
	/* What an event does not set must not look like zero by luck. */
	memset(&drive->conn, 0xee, sizeof(drive->conn));
	memset(&drive->actions, 0xee, sizeof(drive->actions));
	memset(drive->fence, FENCE, sizeof(drive->fence));
}

void
drive_message(struct drive *drive, const struct mif_msg *msg, unsigned int fds)
{
	mif_conn_message(&drive->conn, msg, fds, &drive->actions);
	drive_check_fence(drive);
}

static void
send_type(struct drive *drive, uint16_t type, unsigned int fds)
{
	struct mif_msg msg = drive_good_message(type);

	drive_message(drive, &msg, fds);
}

void
drive_build(struct drive *drive, uint16_t regions)
{
	struct mif_geometry *geometry = &drive->conn.geometry;

	geometry->regions = regions;
	for (uint16_t i = 0; i < regions; i++)
		geometry->region_size[i] = DRIVE_REGION_SIZE + ((uint64_t)i << 32);
	for (int dir = 0; dir < MIF_DIRS; dir++) {
		for (uint16_t i = 0; i < geometry->rings[dir]; i++) {
			geometry->ring[dir][i] = (struct mif_ring_place){
				.region = 0,
				.offset = (uint32_t)(dir * 255 + i) * 1024,
				.log2_ring_size = drive->conn.log2_ring_size,
			};
		}
	}
	mif_conn_built(&drive->conn, &drive->actions);
	drive_check_fence(drive);
}

void
drive_client(struct drive *drive, const struct mif_conn_cfg *cfg, enum mif_state to)
{
	struct mif_conn *conn = &drive->conn;

	begin(drive);
	mif_conn_start_client(conn, cfg);
	for (int step = 0; conn->state != to && step < 1000; step++) {
		if (to == MIF_STATE_CLOSED)
			mif_conn_hangup(conn, "over", &drive->actions);
		else if (conn->state == MIF_STATE_WAIT_HELLO)
			send_type(drive, MIF_MSG_HELLO, 0);
		else if (conn->state == MIF_STATE_BUILD)
			drive_build(drive, 2);
		else if (conn->state == MIF_STATE_WAIT_CONNECTED)
			send_type(drive, MIF_MSG_CONNECTED, 0);
		else
			send_type(drive, MIF_MSG_ACK, 0);
	}
	assert_int_equal(conn->state, to);
	assert_int_equal(conn->role, MIF_CLIENT);
}

void
drive_add_region(struct drive *drive, uint64_t size)
{
	struct mif_msg msg = { .type = 4 };

	msg.add_region.index = drive->conn.geometry.regions;
	msg.add_region.size = size;
	drive_message(drive, &msg, 1);
	assert_int_equal(drive->conn.state, MIF_STATE_SETUP);
}

void
drive_server(struct drive *drive, enum mif_state to)
{
	struct mif_conn *conn = &drive->conn;

	begin(drive);
	mif_conn_start_server(conn, "server program", &drive_limits, &drive->actions);
	drive_check_fence(drive);
	if (to == MIF_STATE_CLOSED)
		mif_conn_hangup(conn, "over", &drive->actions);
	if (to == MIF_STATE_BIND || to == MIF_STATE_SETUP || to == MIF_STATE_UP)
		send_type(drive, MIF_MSG_INIT, 0);
	if (to == MIF_STATE_SETUP || to == MIF_STATE_UP) {
		mif_conn_bound(conn, &drive_server_cfg, NULL, &drive->actions);
		drive_add_region(drive, DRIVE_REGION_SIZE);
		drive_add_region(drive, DRIVE_REGION_SIZE);
	}
	if (to == MIF_STATE_UP) {
		send_type(drive, MIF_MSG_ADD_RING, 1);
		send_type(drive, MIF_MSG_CONNECT, 0);
	}
	assert_int_equal(conn->state, to);
	assert_int_equal(conn->role, MIF_SERVER);
}

void
drive_assert_sends(const struct drive *drive, unsigned int i, uint16_t type)
{
	assert_in_range(i, 0, MIF_ACTIONS_MAX - 1);
	assert_int_equal(drive->actions.list[i].type, MIF_ACT_SEND);
	assert_int_equal(drive->actions.list[i].msg.type, type);
}

void
drive_assert_actions(const struct drive *drive, int first, int second)
{
	assert_int_equal(drive->actions.count, second < 0 ? 1 : 2);
	assert_int_equal(drive->actions.list[0].type, first);
	if (second >= 0)
		assert_int_equal(drive->actions.list[1].type, second);
}

void
drive_assert_failed(const struct drive *drive)
{
	const struct mif_conn *conn = &drive->conn;
	const char *text = (const char *)drive->actions.list[0].msg.disconnect.string;

	assert_int_equal(conn->state, MIF_STATE_CLOSED);
	assert_false(conn->by_peer);
	drive_assert_actions(drive, MIF_ACT_SEND, MIF_ACT_CLOSE);
	drive_assert_sends(drive, 0, MIF_MSG_DISCONNECT);
	assert_in_range(strlen(conn->reason), 1, MIF_REASON_LEN - 1);
	assert_string_equal(text, conn->reason);
}

void
drive_assert_failed_for(const struct drive *drive, const char *reason)
{
	assert_string_equal(drive->conn.reason, reason);
	drive_assert_failed(drive);
}

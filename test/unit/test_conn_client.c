/* SPDX-License-Identifier: BSD-3-Clause */

#include "conn_drive.h"
#include "memif_conn.h"
#include "spec.h"
#include "unit.h"

static struct drive drive;

/** What a message that is taken leads to; with the two regions and two rings of drive_client(). */
static const struct {
	enum mif_state from, to;
	enum mif_action_type action;
	uint16_t sends; /* type of message, for MIF_ACT_SEND */
} steps[] = {
	{ MIF_STATE_WAIT_HELLO, MIF_STATE_BUILD, MIF_ACT_BUILD, 0 },
	{ MIF_STATE_WAIT_INIT_ACK, MIF_STATE_ADD_REGION, MIF_ACT_SEND, 4 },
	{ MIF_STATE_ADD_REGION, MIF_STATE_ADD_REGION, MIF_ACT_SEND, 4 },
	{ MIF_STATE_ADD_RING, MIF_STATE_ADD_RING, MIF_ACT_SEND, 5 },
	{ MIF_STATE_WAIT_CONNECTED, MIF_STATE_UP, MIF_ACT_UP, 0 },
};

static void
assert_step(enum mif_state from)
{
	size_t i = 0;

	while (i < COUNT_OF(steps) && steps[i].from != from)
		i++;
	assert_in_range(i, 0, COUNT_OF(steps) - 1);
	assert_int_equal(drive.conn.state, steps[i].to);
	drive_assert_actions(&drive, steps[i].action, -1);
	if (steps[i].sends != 0)
		drive_assert_sends(&drive, 0, steps[i].sends);
}

static void
one_message(enum mif_state from, uint16_t type, unsigned int fds)
{
	struct mif_msg msg = drive_good_message(type);

	drive_client(&drive, &drive_client_cfg, from);
	drive_message(&drive, &msg, fds);
	if (from == MIF_STATE_CLOSED) {
		assert_int_equal(drive.actions.count, 0);
		assert_int_equal(drive.conn.state, MIF_STATE_CLOSED);
		assert_string_equal(drive.conn.reason, "over");
	} else if (!spec_takes(MIF_CLIENT, from, type, fds)) {
		drive_assert_failed(&drive);
		assert_false(drive.conn.ring_refused);
	} else if (type == 8) {
		drive_assert_actions(&drive, MIF_ACT_CLOSE, -1);
		assert_int_equal(drive.conn.state, MIF_STATE_CLOSED);
		assert_true(drive.conn.by_peer);
	} else {
		assert_step(from);
	}
}

static void
every_message_in_every_state(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(spec_client_states); i++)
		for (size_t j = 0; j < COUNT_OF(spec_types); j++)
			for (unsigned int fds = 0; fds <= 2; fds++)
				one_message(spec_client_states[i], spec_types[j], fds);
}

static void
starts_silent_and_clean(void **state)
{
	(void)state;
	drive_client(&drive, &drive_client_cfg, MIF_STATE_WAIT_HELLO);
	assert_ptr_equal(drive.conn.cfg, &drive_client_cfg);
	assert_string_equal(drive.conn.reason, "");
	assert_string_equal(drive.conn.peer_name, "");
	assert_false(drive.conn.by_peer);
	assert_false(drive.conn.ring_refused);
}

static void
hello_versions(void **state)
{
	static const struct {
		uint16_t min, max;
		bool fits;
	} ranges[] = {
		{ 0x200, 0x200, true },
		{ 0x200, 0x201, true },
		{ 0x100, 0x200, true },
		{ 0x100, 0x300, true },
		{ 0x000, 0xffff, true },
		{ 0x100, 0x100, false },
		{ 0x100, 0x1ff, false },
		{ 0x201, 0x201, false },
		{ 0x201, 0x300, false },
		{ 0x300, 0x300, false },
		{ 0, 0, false },
		{ 0x300, 0x100, false },
	};
	struct mif_msg hello = drive_hello();

	(void)state;
	for (size_t i = 0; i < COUNT_OF(ranges); i++) {
		hello.hello.min_version = ranges[i].min;
		hello.hello.max_version = ranges[i].max;
		drive_client(&drive, &drive_client_cfg, MIF_STATE_WAIT_HELLO);
		drive_message(&drive, &hello, 0);
		if (ranges[i].fits)
			assert_int_equal(drive.conn.state, MIF_STATE_BUILD);
		else
			drive_assert_failed_for(&drive, "incompatible version");
	}
}

/* The fields of HELLO are highest indices: 0 is one ring. VPP says 256. */
static void
hello_limits_the_rings(void **state)
{
	static const uint16_t highest[] = { 0, 1, 2, 253, 254, 255, 256, 65535 };
	static const uint16_t asked[] = { 0, 1, 2, 3, 254, 255 };
	struct mif_conn_cfg cfg = drive_client_cfg;
	struct mif_msg hello = drive_hello();
	uint32_t most;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(highest); i++) {
		for (size_t j = 0; j < COUNT_OF(asked); j++) {
			hello.hello.max_c2s_ring = highest[i];
			hello.hello.max_s2c_ring = highest[COUNT_OF(highest) - 1 - i];
			cfg.rings[MIF_C2S] = asked[j];
			cfg.rings[MIF_S2C] = asked[COUNT_OF(asked) - 1 - j];
			drive_client(&drive, &cfg, MIF_STATE_WAIT_HELLO);
			drive_message(&drive, &hello, 0);
			drive_assert_actions(&drive, MIF_ACT_BUILD, -1);
			most = (uint32_t)hello.hello.max_c2s_ring + 1;
			assert_int_equal(drive.conn.geometry.rings[MIF_C2S],
					cfg.rings[MIF_C2S] < most ? cfg.rings[MIF_C2S] : most);
			most = (uint32_t)hello.hello.max_s2c_ring + 1;
			assert_int_equal(drive.conn.geometry.rings[MIF_S2C],
					cfg.rings[MIF_S2C] < most ? cfg.rings[MIF_S2C] : most);
		}
	}
}

static void
hello_limits_the_ring_size(void **state)
{
	static const uint8_t limits[] = { 1, 2, 10, 13, 14, 15, 16, 64, 255 };
	struct mif_conn_cfg cfg = drive_client_cfg;
	struct mif_msg hello = drive_hello();

	(void)state;
	for (size_t i = 0; i < COUNT_OF(limits); i++) {
		for (uint8_t log2 = 1; log2 <= 14; log2++) {
			hello.hello.max_log2_ring_size = limits[i];
			cfg.log2_ring_size = log2;
			drive_client(&drive, &cfg, MIF_STATE_WAIT_HELLO);
			drive_message(&drive, &hello, 0);
			assert_int_equal(drive.conn.state, MIF_STATE_BUILD);
			assert_int_equal(drive.conn.log2_ring_size,
					log2 < limits[i] ? log2 : limits[i]);
		}
	}
	hello.hello.max_log2_ring_size = 0;
	drive_client(&drive, &cfg, MIF_STATE_WAIT_HELLO);
	drive_message(&drive, &hello, 0);
	drive_assert_failed(&drive);
}

static void
hello_limits_the_regions(void **state)
{
	static const uint16_t highest[] = { 0, 1, 254, 255, 256, 65535 };
	static const uint16_t wanted[] = { 1, 2, 255, 256, 256, 256 };
	struct mif_msg hello = drive_hello();

	(void)state;
	for (size_t i = 0; i < COUNT_OF(highest); i++) {
		hello.hello.max_region = highest[i];
		drive_client(&drive, &drive_client_cfg, MIF_STATE_WAIT_HELLO);
		drive_message(&drive, &hello, 0);
		assert_int_equal(drive.conn.limits.regions, wanted[i]);
	}
}

static void
names_of_the_peer_are_made_safe(void **state)
{
	struct mif_msg hello = drive_hello();
	struct mif_msg connected = { .type = 7 };
	char full[33];

	(void)state;
	memset(full, 'n', sizeof(full) - 1);
	full[32] = 0;
	memset(hello.hello.name, 'n', 32);
	drive_client(&drive, &drive_client_cfg, MIF_STATE_WAIT_HELLO);
	drive_message(&drive, &hello, 0);
	assert_string_equal(drive.conn.peer_name, full);

	memset(connected.connected.if_name, 'n', 32);
	drive_client(&drive, &drive_client_cfg, MIF_STATE_WAIT_CONNECTED);
	drive_message(&drive, &connected, 0);
	assert_string_equal(drive.conn.peer_if_name, full);

	memcpy(hello.hello.name, "a\nb\x1b[c\x7f\x80\xff", 10);
	memset(hello.hello.name + 10, 0, 22);
	drive_client(&drive, &drive_client_cfg, MIF_STATE_WAIT_HELLO);
	drive_message(&drive, &hello, 0);
	assert_string_equal(drive.conn.peer_name, "a?b?[c???");
}

static void
init_carries_all_of_the_configuration(void **state)
{
	struct mif_conn_cfg cfg = drive_client_cfg;
	const struct mif_msg_init *init = &drive.actions.list[0].msg.init;

	(void)state;
	cfg.id = 0xfedcba98;
	cfg.mode = MIF_MODE_IP;
	memset(cfg.secret, 0xf7, sizeof(cfg.secret)); /* no terminator anywhere */
	drive_client(&drive, &cfg, MIF_STATE_WAIT_INIT_ACK);
	drive_assert_sends(&drive, 0, 3);
	assert_int_equal(init->version, 0x200);
	assert_int_equal(init->id, 0xfedcba98);
	assert_int_equal(init->mode, 1);
	assert_memory_equal(init->secret, cfg.secret, 24);
	assert_string_equal((const char *)init->name, "client program");
}

static void
built_counts_in_its_state_only(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(spec_client_states); i++) {
		if (spec_client_states[i] == MIF_STATE_BUILD)
			continue;
		drive_client(&drive, &drive_client_cfg, spec_client_states[i]);
		mif_conn_built(&drive.conn, &drive.actions);
		assert_int_equal(drive.actions.count, 0);
		assert_int_equal(drive.conn.state, spec_client_states[i]);
	}
}

static void
ack(void)
{
	struct mif_msg msg = { .type = 1 };

	drive_message(&drive, &msg, 0);
}

static void
regions_go_out_in_order(void **state)
{
	static const uint16_t counts[] = { 1, 2, 3, 255, 256 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(counts); i++) {
		drive_client(&drive, &drive_client_cfg, MIF_STATE_BUILD);
		drive_build(&drive, counts[i]);
		for (uint16_t region = 0; region < counts[i]; region++) {
			const struct mif_action *action = &drive.actions.list[0];

			ack();
			drive_assert_actions(&drive, MIF_ACT_SEND, -1);
			drive_assert_sends(&drive, 0, 4);
			assert_int_equal(action->index, region);
			assert_int_equal(action->msg.add_region.index, region);
			assert_true(action->msg.add_region.size ==
					DRIVE_REGION_SIZE + ((uint64_t)region << 32));
		}
		ack();
		drive_assert_sends(&drive, 0, 5);
	}
}

static void
expect_rings(enum mif_dir dir, uint16_t count)
{
	const struct mif_action *action = &drive.actions.list[0];

	for (uint16_t i = 0; i < count; i++) {
		ack();
		drive_assert_actions(&drive, MIF_ACT_SEND, -1);
		drive_assert_sends(&drive, 0, 5);
		assert_int_equal(action->dir, dir);
		assert_int_equal(action->index, i);
		assert_int_equal(action->msg.add_ring.flags, dir == MIF_C2S ? 1 : 0);
		assert_int_equal(action->msg.add_ring.index, i);
		assert_int_equal(action->msg.add_ring.offset, (dir * 255 + i) * 1024);
		assert_int_equal(action->msg.add_ring.log2_ring_size, DRIVE_LOG2);
		assert_int_equal(action->msg.add_ring.private_hdr_size, 0);
	}
}

static void
rings_go_out_c2s_first(void **state)
{
	static const uint16_t counts[][2] = { { 1, 1 }, { 0, 1 }, { 1, 0 }, { 3, 5 }, { 255, 0 },
		{ 0, 255 }, { 255, 255 }, { 0, 0 } };
	struct mif_conn_cfg cfg = drive_client_cfg;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(counts); i++) {
		cfg.rings[MIF_C2S] = counts[i][0];
		cfg.rings[MIF_S2C] = counts[i][1];
		drive_client(&drive, &cfg, MIF_STATE_BUILD);
		drive_build(&drive, 1);
		ack();
		expect_rings(MIF_C2S, counts[i][0]);
		expect_rings(MIF_S2C, counts[i][1]);
		ack();
		drive_assert_sends(&drive, 0, 6);
		assert_string_equal((const char *)drive.actions.list[0].msg.connect.if_name,
				"client port");
		assert_int_equal(drive.conn.state, MIF_STATE_WAIT_CONNECTED);
	}
}

/* So that the caller can come back with fewer rings. */
static void
refusal_of_a_ring_is_told_apart(void **state)
{
	struct mif_conn_cfg cfg = drive_client_cfg;
	struct mif_msg bye = drive_good_message(8);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(spec_client_states); i++) {
		drive_client(&drive, &cfg, spec_client_states[i]);
		drive_message(&drive, &bye, 0);
		assert_int_equal(drive.conn.ring_refused,
				spec_client_states[i] == MIF_STATE_ADD_RING);
	}
	drive_client(&drive, &cfg, MIF_STATE_ADD_RING);
	mif_conn_hangup(&drive.conn, "gone", &drive.actions);
	assert_false(drive.conn.ring_refused);
	drive_client(&drive, &cfg, MIF_STATE_ADD_RING);
	mif_conn_fail(&drive.conn, "our own mistake", &drive.actions);
	assert_false(drive.conn.ring_refused);

	cfg.rings[MIF_S2C] = 3;
	drive_client(&drive, &cfg, MIF_STATE_ADD_RING);
	for (int acks = 0; acks < 2; acks++)
		ack();
	drive_message(&drive, &bye, 0);
	assert_true(drive.conn.ring_refused);
	assert_int_equal(drive.conn.dir, MIF_S2C);
	assert_int_equal(drive.conn.index, 1);
	mif_conn_start_client(&drive.conn, &cfg);
	assert_false(drive.conn.ring_refused);
}

static void
reason_of_the_peer_is_made_safe(void **state)
{
	struct mif_msg bye = { .type = 8 };
	char full[97];

	(void)state;
	drive_client(&drive, &drive_client_cfg, MIF_STATE_UP);
	drive_message(&drive, &bye, 0);
	assert_string_equal(drive.conn.reason, "no reason given");

	memset(full, 'r', 96);
	full[96] = 0;
	memset(bye.disconnect.string, 'r', 96);
	drive_client(&drive, &drive_client_cfg, MIF_STATE_UP);
	drive_message(&drive, &bye, 0);
	assert_string_equal(drive.conn.reason, full);

	memcpy(bye.disconnect.string, "x\r\nmemif: all is well\x1b[2J%s%n", 30);
	drive_client(&drive, &drive_client_cfg, MIF_STATE_UP);
	drive_message(&drive, &bye, 0);
	assert_string_equal(drive.conn.reason, "x??memif: all is well?[2J%s%n");
}

static void
giving_up_in_every_state(void **state)
{
	char text[300];

	(void)state;
	memset(text, 't', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	for (size_t i = 1; i < COUNT_OF(spec_client_states); i++) {
		drive_client(&drive, &drive_client_cfg, spec_client_states[i]);
		mif_conn_fail(&drive.conn, "no memory", &drive.actions);
		drive_assert_failed_for(&drive, "no memory");
		mif_conn_fail(&drive.conn, "again", &drive.actions);
		assert_int_equal(drive.actions.count, 0);
		mif_conn_hangup(&drive.conn, "again", &drive.actions);
		assert_int_equal(drive.actions.count, 0);
		assert_string_equal(drive.conn.reason, "no memory");

		drive_client(&drive, &drive_client_cfg, spec_client_states[i]);
		mif_conn_fail(&drive.conn, text, &drive.actions);
		drive_assert_actions(&drive, MIF_ACT_SEND, MIF_ACT_CLOSE);
		assert_int_equal(strlen(drive.conn.reason), MIF_REASON_LEN);
		drive_check_fence(&drive);
	}
}

static void
hang_up_in_every_state(void **state)
{
	(void)state;
	for (size_t i = 1; i < COUNT_OF(spec_client_states); i++) {
		drive_client(&drive, &drive_client_cfg, spec_client_states[i]);
		mif_conn_hangup(&drive.conn, "peer went away", &drive.actions);
		drive_assert_actions(&drive, MIF_ACT_CLOSE, -1);
		assert_int_equal(drive.conn.state, MIF_STATE_CLOSED);
		assert_false(drive.conn.by_peer); /* the words are not the peer's */
		assert_string_equal(drive.conn.reason, "peer went away");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_message_in_every_state),
		cmocka_unit_test(starts_silent_and_clean),
		cmocka_unit_test(hello_versions),
		cmocka_unit_test(hello_limits_the_rings),
		cmocka_unit_test(hello_limits_the_ring_size),
		cmocka_unit_test(hello_limits_the_regions),
		cmocka_unit_test(names_of_the_peer_are_made_safe),
		cmocka_unit_test(init_carries_all_of_the_configuration),
		cmocka_unit_test(built_counts_in_its_state_only),
		cmocka_unit_test(regions_go_out_in_order),
		cmocka_unit_test(rings_go_out_c2s_first),
		cmocka_unit_test(refusal_of_a_ring_is_told_apart),
		cmocka_unit_test(reason_of_the_peer_is_made_safe),
		cmocka_unit_test(giving_up_in_every_state),
		cmocka_unit_test(hang_up_in_every_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

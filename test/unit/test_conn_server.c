/* SPDX-License-Identifier: BSD-3-Clause */

#include "conn_drive.h"
#include "memif_conn.h"
#include "spec.h"
#include "unit.h"

static struct drive drive;

/** What a message that is taken leads to. */
static const struct {
	uint16_t type;
	enum mif_state to;
	enum mif_action_type first;
	uint16_t answer; /* type of the message sent as second action, 0 for no second action */
} steps[] = {
	{ 3, MIF_STATE_BIND, MIF_ACT_BIND, 0 },
	{ 4, MIF_STATE_SETUP, MIF_ACT_TAKE_REGION, 1 },
	{ 5, MIF_STATE_SETUP, MIF_ACT_TAKE_RING, 1 },
};

static void
assert_step(uint16_t type)
{
	for (size_t i = 0; i < COUNT_OF(steps); i++) {
		if (steps[i].type != type)
			continue;
		assert_int_equal(drive.conn.state, steps[i].to);
		drive_assert_actions(&drive, steps[i].first,
				steps[i].answer == 0 ? -1 : MIF_ACT_SEND);
		if (steps[i].answer != 0)
			drive_assert_sends(&drive, 1, steps[i].answer);
		return;
	}
	/* CONNECT, and SETUP has no ring yet. */
	assert_int_equal(type, 6);
	drive_assert_failed_for(&drive, "no rings");
}

static void
one_message(enum mif_state from, uint16_t type, unsigned int fds)
{
	struct mif_msg msg = drive_good_message(type);

	drive_server(&drive, from);
	drive_message(&drive, &msg, fds);
	if (from == MIF_STATE_CLOSED) {
		assert_int_equal(drive.actions.count, 0);
		assert_int_equal(drive.conn.state, MIF_STATE_CLOSED);
		assert_string_equal(drive.conn.reason, "over");
	} else if (!spec_takes(MIF_SERVER, from, type, fds)) {
		drive_assert_failed(&drive);
	} else if (type == 8) {
		drive_assert_actions(&drive, MIF_ACT_CLOSE, -1);
		assert_int_equal(drive.conn.state, MIF_STATE_CLOSED);
		assert_true(drive.conn.by_peer);
		assert_false(drive.conn.ring_refused);
	} else {
		assert_step(type);
	}
}

static void
every_message_in_every_state(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(spec_server_states); i++)
		for (size_t j = 0; j < COUNT_OF(spec_types); j++)
			for (unsigned int fds = 0; fds <= 2; fds++)
				one_message(spec_server_states[i], spec_types[j], fds);
}

static void
says_hello_first(void **state)
{
	const struct mif_limits limits = { .regions = 3, .rings = { 4, 5 }, .log2_ring_size = 6 };
	const struct mif_msg_hello *hello = &drive.actions.list[0].msg.hello;

	(void)state;
	mif_conn_start_server(&drive.conn, "me", &limits, &drive.actions);
	drive_assert_actions(&drive, MIF_ACT_SEND, -1);
	drive_assert_sends(&drive, 0, 2);
	assert_int_equal(hello->min_version, 0x200);
	assert_int_equal(hello->max_version, 0x200);
	assert_int_equal(hello->max_region, 2);
	assert_int_equal(hello->max_c2s_ring, 3);
	assert_int_equal(hello->max_s2c_ring, 4);
	assert_int_equal(hello->max_log2_ring_size, 6);
	assert_string_equal((const char *)hello->name, "me");
	assert_null(drive.conn.cfg);
}

static void
takes_no_other_version(void **state)
{
	static const uint16_t versions[] = { 0, 2, 0x100, 0x1ff, 0x201, 0x2ff, 0x300, 0xffff };
	struct mif_msg init = drive_good_message(3);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(versions); i++) {
		init.init.version = versions[i];
		drive_server(&drive, MIF_STATE_WAIT_INIT);
		drive_message(&drive, &init, 0);
		drive_assert_failed_for(&drive, "incompatible version");
	}
}

static void
init_names_the_port(void **state)
{
	struct mif_msg init = drive_good_message(3);
	char full[33];

	(void)state;
	memset(full, 'n', 32);
	full[32] = 0;
	memset(init.init.name, 'n', 32);
	init.init.id = 0xfedcba98;
	init.init.mode = 1;
	drive_server(&drive, MIF_STATE_WAIT_INIT);
	drive_message(&drive, &init, 0);
	assert_int_equal(drive.conn.id, 0xfedcba98);
	assert_int_equal(drive.conn.mode, 1);
	assert_string_equal(drive.conn.peer_name, full);
	init.init.name[3] = '\n';
	drive_server(&drive, MIF_STATE_WAIT_INIT);
	drive_message(&drive, &init, 0);
	assert_int_equal(drive.conn.peer_name[3], '?');
}

static void
bound_counts_in_its_state_only(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(spec_server_states); i++) {
		if (spec_server_states[i] == MIF_STATE_BIND)
			continue;
		drive_server(&drive, spec_server_states[i]);
		mif_conn_bound(&drive.conn, NULL, "no", &drive.actions);
		assert_int_equal(drive.actions.count, 0);
		assert_int_equal(drive.conn.state, spec_server_states[i]);
	}
}

/** What a server with this secret, mode and refusal says to a client with that secret and mode. */
struct binding {
	const char *wanted; /**< 24 bytes, or NULL for none */
	const char *given;
	uint8_t port_mode, client_mode;
	const char *refusal;
	const char *reason; /**< NULL when the client is taken */
};

static void
bind_one(const struct binding *binding)
{
	static struct mif_conn_cfg cfg;
	static const uint8_t none[MIF_SECRET_LEN];
	struct mif_msg init = drive_good_message(3);

	cfg = drive_server_cfg;
	cfg.mode = binding->port_mode;
	init.init.mode = binding->client_mode;
	if (binding->wanted != NULL)
		memcpy(cfg.secret, binding->wanted, MIF_SECRET_LEN);
	if (binding->given != NULL)
		memcpy(init.init.secret, binding->given, MIF_SECRET_LEN);
	drive_server(&drive, MIF_STATE_WAIT_INIT);
	drive_message(&drive, &init, 0);
	mif_conn_bound(&drive.conn, &cfg, binding->refusal, &drive.actions);
	drive_check_fence(&drive);
	if (binding->reason != NULL) {
		drive_assert_failed_for(&drive, binding->reason);
	} else {
		assert_int_equal(drive.conn.state, MIF_STATE_SETUP);
		drive_assert_actions(&drive, MIF_ACT_SEND, -1);
		drive_assert_sends(&drive, 0, 1);
		assert_ptr_equal(drive.conn.cfg, &cfg);
	}
	assert_memory_equal(drive.conn.secret, none, MIF_SECRET_LEN);
}

#define SECRET "ABCDEFGHIJKLMNOPQRSTUVWX" /* 24 bytes: no room for a terminator on the wire */
#define SHORT "ABC\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"

static void
secrets_and_modes(void **state)
{
	static const struct binding bindings[] = {
		{ NULL, NULL, 0, 0, NULL, NULL },
		{ NULL, SECRET, 0, 0, NULL, NULL },
		{ SECRET, SECRET, 0, 0, NULL, NULL },
		{ SHORT, SHORT, 0, 0, NULL, NULL },
		{ SECRET, NULL, 0, 0, NULL, "secret required" },
		{ SECRET, SHORT, 0, 0, NULL, "incorrect secret" },
		{ SHORT, SECRET, 0, 0, NULL, "incorrect secret" },
		{ NULL, NULL, 1, 1, NULL, NULL },
		{ NULL, NULL, 0, 1, NULL, "mode mismatch" },
		{ NULL, NULL, 1, 0, NULL, "mode mismatch" },
		{ NULL, NULL, 0, 2, NULL, "mode mismatch" },
		{ NULL, NULL, 0, 255, NULL, "mode mismatch" },
		{ NULL, NULL, 0, 0, "already connected", "already connected" },
		{ SECRET, SECRET, 0, 0, "already connected", "already connected" },
		/* A client without the secret learns nothing else of the port. */
		{ SECRET, NULL, 0, 0, "already connected", "secret required" },
		{ SECRET, SHORT, 0, 1, "already connected", "incorrect secret" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bindings); i++)
		bind_one(&bindings[i]);
}

static void
secret_counts_to_its_last_bit(void **state)
{
	char given[MIF_SECRET_LEN];
	struct binding binding = { SECRET, given, 0, 0, NULL, "incorrect secret" };

	(void)state;
	for (int byte = 0; byte < MIF_SECRET_LEN; byte++) {
		for (int bit = 0; bit < 8; bit++) {
			memcpy(given, SECRET, sizeof(given));
			given[byte] = (char)(given[byte] ^ (1 << bit));
			bind_one(&binding);
		}
		/* A guess that is right up to here. */
		memset(given, 0, sizeof(given));
		memcpy(given, SECRET, (size_t)byte);
		binding.reason = byte == 0 ? "secret required" : "incorrect secret";
		bind_one(&binding);
		binding.reason = "incorrect secret";
	}
}

/* Differences in two places must not cancel each other out. */
static void
secret_with_the_same_sum_is_wrong(void **state)
{
	char given[MIF_SECRET_LEN];
	const struct binding binding = { SECRET, given, 0, 0, NULL, "incorrect secret" };

	(void)state;
	memcpy(given, SECRET, sizeof(given));
	given[0] = SECRET[1];
	given[1] = SECRET[0];
	bind_one(&binding);
	for (size_t i = 0; i < sizeof(given); i++)
		given[i] = (char)(SECRET[i] ^ 0x55);
	bind_one(&binding);
}

static void
unknown_id(void **state)
{
	(void)state;
	drive_server(&drive, MIF_STATE_BIND);
	mif_conn_bound(&drive.conn, NULL, NULL, &drive.actions);
	drive_assert_failed_for(&drive, "unmatched interface id");
	assert_null(drive.conn.cfg);
}

static void
region(uint16_t index, uint64_t size, const char *reason)
{
	struct mif_msg msg = { .type = 4 };

	msg.add_region.index = index;
	msg.add_region.size = size;
	drive_message(&drive, &msg, 1);
	if (reason != NULL) {
		drive_assert_failed_for(&drive, reason);
		return;
	}
	drive_assert_actions(&drive, MIF_ACT_TAKE_REGION, MIF_ACT_SEND);
	drive_assert_sends(&drive, 1, 1);
	assert_int_equal(drive.actions.list[0].index, index);
	assert_int_equal(drive.conn.geometry.regions, index + 1);
	assert_true(drive.conn.geometry.region_size[index] == size);
}

static void
regions_come_in_order(void **state)
{
	static const uint16_t wrong[] = { 0, 1, 3, 255, 256, 257, 0x102, 65535 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		drive_server(&drive, MIF_STATE_SETUP);
		region(wrong[i], 4096, "invalid region index");
		assert_int_equal(drive.conn.geometry.regions, 2);
	}
	drive_server(&drive, MIF_STATE_SETUP);
	region(2, 0, "empty region");
	drive_server(&drive, MIF_STATE_SETUP);
	region(2, UINT64_MAX, NULL);
}

static void
no_more_regions_than_the_limit(void **state)
{
	static const uint16_t limits[] = { 2, 3, 255, 256 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(limits); i++) {
		drive_server(&drive, MIF_STATE_SETUP);
		drive.conn.limits.regions = limits[i];
		for (uint16_t index = 2; index < limits[i]; index++)
			region(index, 4096, NULL);
		region(limits[i], 4096, "invalid region index");
	}
}

static void
connect_needs_a_ring(void **state)
{
	const struct mif_msg connect = { .type = 6 };

	(void)state;
	drive_server(&drive, MIF_STATE_SETUP);
	drive_message(&drive, &connect, 0);
	drive_assert_failed_for(&drive, "no rings");
}

static void
connect_with_rings_of_one_direction(void **state)
{
	struct mif_msg connect = { .type = 6 };
	struct mif_msg ring = drive_good_message(5);
	char full[33];

	(void)state;
	memset(full, 'p', 32);
	full[32] = 0;
	memset(connect.connect.if_name, 'p', 32);
	for (uint16_t flags = 0; flags <= 1; flags++) {
		drive_server(&drive, MIF_STATE_SETUP);
		ring.add_ring.flags = flags;
		drive_message(&drive, &ring, 1);
		assert_int_equal(drive.actions.list[0].dir, flags == 1 ? MIF_C2S : MIF_S2C);
		drive_message(&drive, &connect, 0);
		drive_assert_actions(&drive, MIF_ACT_UP, MIF_ACT_SEND);
		drive_assert_sends(&drive, 1, 7);
		assert_string_equal((const char *)drive.actions.list[1].msg.connected.if_name,
				"server port");
		assert_int_equal(drive.conn.state, MIF_STATE_UP);
		assert_string_equal(drive.conn.peer_if_name, full);
	}
}

static void
giving_up_and_hang_up_in_every_state(void **state)
{
	(void)state;
	for (size_t i = 1; i < COUNT_OF(spec_server_states); i++) {
		drive_server(&drive, spec_server_states[i]);
		mif_conn_fail(&drive.conn, "interface deleted", &drive.actions);
		drive_assert_failed_for(&drive, "interface deleted");
		mif_conn_fail(&drive.conn, "again", &drive.actions);
		assert_int_equal(drive.actions.count, 0);

		drive_server(&drive, spec_server_states[i]);
		mif_conn_hangup(&drive.conn, "peer went away", &drive.actions);
		drive_assert_actions(&drive, MIF_ACT_CLOSE, -1);
		assert_false(drive.conn.by_peer); /* the words are not the peer's */
		assert_string_equal(drive.conn.reason, "peer went away");
		mif_conn_hangup(&drive.conn, "again", &drive.actions);
		assert_int_equal(drive.actions.count, 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_message_in_every_state),
		cmocka_unit_test(says_hello_first),
		cmocka_unit_test(takes_no_other_version),
		cmocka_unit_test(init_names_the_port),
		cmocka_unit_test(bound_counts_in_its_state_only),
		cmocka_unit_test(secrets_and_modes),
		cmocka_unit_test(secret_counts_to_its_last_bit),
		cmocka_unit_test(secret_with_the_same_sum_is_wrong),
		cmocka_unit_test(unknown_id),
		cmocka_unit_test(regions_come_in_order),
		cmocka_unit_test(no_more_regions_than_the_limit),
		cmocka_unit_test(connect_needs_a_ring),
		cmocka_unit_test(connect_with_rings_of_one_direction),
		cmocka_unit_test(giving_up_and_hang_up_in_every_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

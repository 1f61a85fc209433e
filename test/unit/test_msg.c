/* SPDX-License-Identifier: BSD-3-Clause */

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memif_msg.h"
#include "spec.h"
#include "unit.h"

static void
check_one(enum mif_role receiver, enum mif_state state, uint16_t type, unsigned int fds)
{
	struct mif_msg msg = { .type = type };
	const char *reason = mif_msg_check(receiver, state, &msg, fds);
	bool wanted = spec_takes(receiver, state, type, fds);

	if ((reason == NULL) != wanted) {
		print_message("# %s, state %d, type %u, %u fds: %s\n",
				receiver == MIF_CLIENT ? "client" : "server", state, type, fds,
				reason == NULL ? "taken" : reason);
		fail();
	}
	if (reason != NULL)
		assert_in_range(strlen(reason), 1, MIF_REASON_LEN - 1);
}

static void
every_message_in_every_state(void **state)
{
	(void)state;
	for (int role = MIF_CLIENT; role <= MIF_SERVER; role++) {
		size_t count;
		const enum mif_state *states = spec_states((enum mif_role)role, &count);

		for (size_t i = 0; i < count; i++)
			for (size_t j = 0; j < COUNT_OF(spec_types); j++)
				for (unsigned int fds = 0; fds < 10; fds++)
					check_one((enum mif_role)role, states[i], spec_types[j],
							fds);
	}
}

static void
no_unknown_type_in_any_state(void **state)
{
	struct mif_msg msg = { .type = 0 };

	(void)state;
	for (uint32_t type = 0; type <= UINT16_MAX; type++) {
		if (type >= 1 && type <= 8)
			continue;
		msg.type = (uint16_t)type;
		for (int at = 0; at < MIF_STATES; at++) {
			assert_non_null(mif_msg_check(MIF_CLIENT, (enum mif_state)at, &msg, 0));
			assert_non_null(mif_msg_check(MIF_SERVER, (enum mif_state)at, &msg, 0));
		}
	}
}

/* The reason tells a user what is wrong; these are the ones that peers see most. */
static void
reasons_tell_what_is_wrong(void **state)
{
	struct mif_msg ring = { .type = 5 };
	struct mif_msg ack = { .type = 1 };
	struct mif_msg none = { .type = 0 };

	(void)state;
	assert_string_equal(mif_msg_check(MIF_SERVER, MIF_STATE_SETUP, &ring, 0),
			"file descriptor missing");
	assert_string_equal(mif_msg_check(MIF_SERVER, MIF_STATE_SETUP, &ring, 2),
			"unexpected file descriptor");
	assert_string_equal(mif_msg_check(MIF_SERVER, MIF_STATE_WAIT_INIT, &ring, 1),
			"message out of order");
	assert_string_equal(mif_msg_check(MIF_CLIENT, MIF_STATE_WAIT_INIT_ACK, &ring, 1),
			"message of the other role");
	assert_string_equal(mif_msg_check(MIF_CLIENT, MIF_STATE_ADD_REGION, &ack, 1),
			"unexpected file descriptor");
	assert_string_equal(mif_msg_check(MIF_CLIENT, MIF_STATE_ADD_REGION, &none, 0),
			"unknown message type");
}

static void
rules_of_known_types_only(void **state)
{
	(void)state;
	assert_null(mif_msg_rule(0));
	for (uint16_t type = 1; type <= 8; type++) {
		assert_non_null(mif_msg_rule(type));
		assert_int_equal(mif_msg_rule(type)->fds, type == 4 || type == 5);
	}
	for (uint32_t type = 9; type <= UINT16_MAX; type++)
		assert_null(mif_msg_rule((uint16_t)type));
}

static void
names_for_logs(void **state)
{
	static const char *const names[] = { "unknown", "ACK", "HELLO", "INIT", "ADD_REGION",
		"ADD_RING", "CONNECT", "CONNECTED", "DISCONNECT", "unknown" };

	(void)state;
	for (uint16_t type = 0; type < COUNT_OF(names); type++)
		assert_string_equal(mif_msg_name(type), names[type]);
	assert_string_equal(mif_msg_name(0xffff), "unknown");
	for (int a = 0; a < MIF_STATES; a++) {
		assert_string_not_equal(mif_state_name((enum mif_state)a), "unknown");
		for (int b = 0; b < a; b++)
			assert_string_not_equal(mif_state_name((enum mif_state)a),
					mif_state_name((enum mif_state)b));
	}
	assert_string_equal(mif_state_name((enum mif_state)MIF_STATES), "unknown");
	assert_string_equal(mif_state_name((enum mif_state) - 1), "unknown");
}

/* An array that ends where a page without access begins: reading behind it is fatal. */
static uint8_t *
array_before_a_fence(size_t bytes, void **mapping)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *two = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			0);

	assert_true(two != MAP_FAILED);
	assert_int_equal(mprotect(two + page, page, PROT_NONE), 0);
	*mapping = two;
	return two + page - bytes;
}

static void
free_array(void *mapping)
{
	munmap(mapping, 2 * (size_t)sysconf(_SC_PAGESIZE));
}

static void
get_string_without_terminator(void **state)
{
	static const size_t lengths[] = { 1, 24, 32, 96 };
	char to[97 + 1];
	void *mapping;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(lengths); i++) {
		size_t max = lengths[i];
		uint8_t *from = array_before_a_fence(max, &mapping);

		memset(from, 'n', max);
		memset(to, 'c', sizeof(to));
		mif_msg_get_string(to, max + 1, from, max);
		assert_int_equal(strlen(to), max);
		assert_int_equal(strspn(to, "n"), max);
		assert_int_equal(to[max + 1], 'c');
		free_array(mapping);
	}
}

static void
get_string_cuts_to_the_room(void **state)
{
	const uint8_t from[8] = "abcdefg";
	char to[16];

	(void)state;
	for (size_t size = 1; size <= 12; size++) {
		size_t wanted = size - 1 < 7 ? size - 1 : 7;

		memset(to, '!', sizeof(to));
		mif_msg_get_string(to, size, from, sizeof(from));
		assert_int_equal(strlen(to), wanted);
		assert_memory_equal(to, "abcdefg", wanted);
		for (size_t i = size; i < sizeof(to); i++)
			assert_int_equal(to[i], '!');
	}
}

static void
get_string_stops_at_the_first_nul(void **state)
{
	const uint8_t from[8] = { 'a', 'b', 0, 'c', 'd', 'e', 'f', 'g' };
	char to[9];

	(void)state;
	mif_msg_get_string(to, sizeof(to), from, sizeof(from));
	assert_string_equal(to, "ab");
	mif_msg_get_string(to, sizeof(to), from + 2, 6);
	assert_string_equal(to, "");
	mif_msg_get_string(to, sizeof(to), from, 0);
	assert_string_equal(to, "");
}

/* New lines would forge log lines, escape sequences would reach a terminal. */
static void
get_string_shows_printable_ascii_only(void **state)
{
	uint8_t from[1];
	char to[2];

	(void)state;
	for (int byte = 1; byte <= 255; byte++) {
		from[0] = (uint8_t)byte;
		mif_msg_get_string(to, sizeof(to), from, 1);
		assert_int_equal(to[0], byte >= ' ' && byte <= '~' ? byte : '?');
		assert_int_equal(to[1], 0);
	}
}

static void
put_string_cuts_and_clears_the_rest(void **state)
{
	char from[64];
	uint8_t to[32 + 1];

	(void)state;
	memset(from, 'x', sizeof(from));
	from[sizeof(from) - 1] = 0;
	for (size_t length = 0; length < sizeof(from); length++) {
		size_t wanted = length < 31 ? length : 31;

		memset(to, 0xee, sizeof(to));
		mif_msg_put_string(to, 32, from + sizeof(from) - 1 - length);
		for (size_t i = 0; i < 32; i++)
			assert_int_equal(to[i], i < wanted ? 'x' : 0);
		assert_int_equal(to[32], 0xee);
	}
}

static void
hello_tells_highest_indices(void **state)
{
	static const uint16_t counts[] = { 0, 1, 2, 255, 256, 65535 };
	static const uint16_t highest[] = { 0, 0, 1, 254, 255, 65534 };
	struct mif_limits limits;
	struct mif_msg msg;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(counts); i++) {
		limits = (struct mif_limits){
			.regions = counts[i],
			.rings = { counts[i], counts[i] },
			.log2_ring_size = 14,
		};
		msg = mif_msg_hello("", &limits);
		assert_int_equal(msg.hello.max_region, highest[i]);
		assert_int_equal(msg.hello.max_c2s_ring, highest[i]);
		assert_int_equal(msg.hello.max_s2c_ring, highest[i]);
	}
}

static void
secret_uses_all_its_bytes(void **state)
{
	uint8_t secret[MIF_SECRET_LEN];
	struct mif_msg msg;

	(void)state;
	memset(secret, 0xff, sizeof(secret));
	msg = mif_msg_init(0, 0, secret, "");
	assert_memory_equal(msg.init.secret, secret, sizeof(secret));
	assert_int_equal(msg.init.name[0], 0);
}

static void
long_texts_are_cut_with_a_terminator(void **state)
{
	char text[200];
	struct mif_msg msg;

	(void)state;
	memset(text, 't', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	msg = mif_msg_disconnect(text);
	assert_int_equal(strlen((const char *)msg.disconnect.string), MIF_REASON_LEN - 1);
	msg = mif_msg_connect(text);
	assert_int_equal(strlen((const char *)msg.connect.if_name), MIF_NAME_LEN - 1);
	msg = mif_msg_connected(text);
	assert_int_equal(strlen((const char *)msg.connected.if_name), MIF_NAME_LEN - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_message_in_every_state),
		cmocka_unit_test(no_unknown_type_in_any_state),
		cmocka_unit_test(reasons_tell_what_is_wrong),
		cmocka_unit_test(rules_of_known_types_only),
		cmocka_unit_test(names_for_logs),
		cmocka_unit_test(get_string_without_terminator),
		cmocka_unit_test(get_string_cuts_to_the_room),
		cmocka_unit_test(get_string_stops_at_the_first_nul),
		cmocka_unit_test(get_string_shows_printable_ascii_only),
		cmocka_unit_test(put_string_cuts_and_clears_the_rest),
		cmocka_unit_test(hello_tells_highest_indices),
		cmocka_unit_test(secret_uses_all_its_bytes),
		cmocka_unit_test(long_texts_are_cut_with_a_terminator),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */

#include "steer.h"
#include "unit.h"

static void
set_live(struct steer *steer, uint64_t ports)
{
	for (unsigned int port = 0; port < steer->ports; port++)
		steer_set_live(steer, port, (ports >> port & 1) != 0);
}

static void
no_port_at_first(void **state)
{
	struct steer steer;

	(void)state;
	steer_init(&steer, 3);
	for (uint32_t hash = 0; hash < STEER_BUCKETS; hash++)
		assert_int_equal(steer_pick(&steer, hash), STEER_NONE);
	assert_false(steer_is_live(&steer, 0));
}

static void
only_live_ports_are_picked(void **state)
{
	struct steer steer;
	uint8_t port;

	(void)state;
	steer_init(&steer, STEER_PORTS);
	set_live(&steer, 0x8000000000000011);
	for (uint32_t hash = 0; hash < STEER_BUCKETS; hash++) {
		port = steer_pick(&steer, hash);
		assert_true(port == 0 || port == 4 || port == 63);
		assert_true(steer_is_live(&steer, port));
	}
	assert_false(steer_is_live(&steer, 1));
}

static void
shares_are_even(void **state)
{
	struct steer steer;
	unsigned int share, sum, fair;

	(void)state;
	for (unsigned int ports = 1; ports <= STEER_PORTS; ports++) {
		steer_init(&steer, ports);
		set_live(&steer, UINT64_MAX);
		fair = STEER_BUCKETS / ports;
		sum = 0;
		for (unsigned int port = 0; port < ports; port++) {
			share = steer_share(&steer, port);
			assert_in_range(share, fair * 6 / 10, fair * 14 / 10 + 1);
			sum += share;
		}
		assert_int_equal(sum, STEER_BUCKETS);
	}
}

static void
only_flows_of_the_lost_port_move(void **state)
{
	struct steer before, after;

	(void)state;
	steer_init(&before, 5);
	set_live(&before, 0x1f);
	for (unsigned int lost = 0; lost < 5; lost++) {
		after = before;
		steer_set_live(&after, lost, false);
		for (uint32_t hash = 0; hash < STEER_BUCKETS; hash++) {
			if (steer_pick(&before, hash) == lost)
				assert_int_not_equal(steer_pick(&after, hash), lost);
			else
				assert_int_equal(steer_pick(&after, hash),
						steer_pick(&before, hash));
		}
		/* Spread over the others. */
		for (unsigned int port = 0; port < 5; port++)
			if (port != lost)
				assert_true(steer_share(&after, port) > steer_share(&before, port));
	}
}

static void
flows_return(void **state)
{
	struct steer before, after;

	(void)state;
	steer_init(&before, 4);
	set_live(&before, 0xf);
	after = before;
	steer_set_live(&after, 2, false);
	steer_set_live(&after, 0, false);
	steer_set_live(&after, 2, true);
	steer_set_live(&after, 0, true);
	assert_memory_equal(after.bucket, before.bucket, sizeof(before.bucket));
}

static void
the_last_one_takes_all(void **state)
{
	struct steer steer;

	(void)state;
	steer_init(&steer, 2);
	set_live(&steer, 3);
	steer_set_live(&steer, 0, false);
	assert_int_equal(steer_share(&steer, 1), STEER_BUCKETS);
	steer_set_live(&steer, 1, false);
	assert_int_equal(steer_share(&steer, 1), 0);
	assert_int_equal(steer_pick(&steer, 77), STEER_NONE);
}

static void
a_copy_changes_as_a_whole(void **state)
{
	struct steer steer, copy, before;

	(void)state;
	steer_init(&steer, 4);
	steer_init(&copy, 4);
	assert_false(steer_adopt(&copy, &steer));
	set_live(&steer, 0xf);
	assert_false(steer_is_live(&copy, 0));
	assert_true(steer_adopt(&copy, &steer));
	assert_memory_equal(copy.bucket, steer.bucket, sizeof(copy.bucket));
	assert_true(steer_is_live(&copy, 3));
	assert_false(steer_adopt(&copy, &steer));

	set_live(&steer, 0xe);
	before = copy;
	steer.generation++; /* another change has begun */
	assert_false(steer_adopt(&copy, &steer));
	assert_memory_equal(copy.bucket, before.bucket, sizeof(copy.bucket));
	assert_true(steer_is_live(&copy, 0));
	steer.generation++;
	assert_true(steer_adopt(&copy, &steer));
	assert_false(steer_is_live(&copy, 0));
	for (uint32_t hash = 0; hash < STEER_BUCKETS; hash++)
		assert_int_not_equal(steer_pick(&copy, hash), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_port_at_first),
		cmocka_unit_test(only_live_ports_are_picked),
		cmocka_unit_test(shares_are_even),
		cmocka_unit_test(only_flows_of_the_lost_port_move),
		cmocka_unit_test(flows_return),
		cmocka_unit_test(the_last_one_takes_all),
		cmocka_unit_test(a_copy_changes_as_a_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

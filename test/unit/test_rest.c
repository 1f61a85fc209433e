/* SPDX-License-Identifier: BSD-3-Clause */

/* A full ring is left alone while its receiver empties it fast, until a half is free; no longer. */

#include "memif_rest.h"
#include "unit.h"

#define SIZE 1024
#define SECOND UINT64_C(1000000000) /* ticks are nanoseconds */
#define PATIENCE (MIF_REST_US * UINT64_C(1000))

static uint64_t ticks;

static uint64_t
now(void)
{
	return ticks;
}

static bool
goes_on(struct mif_rest *rest, uint32_t free)
{
	return mif_rest_goes_on(rest, free, now);
}

/* So many bursts that do not fit, each so long after the one before. */
static void
full(struct mif_rest *rest, int bursts, uint32_t packets, uint64_t pause)
{
	for (int i = 0; i < bursts; i++) {
		ticks += pause;
		mif_rest_full(rest, packets, now);
	}
}

static struct mif_rest
resting(void)
{
	struct mif_rest rest = mif_rest_init(SIZE, SECOND);

	ticks = 10 * SECOND;
	full(&rest, MIF_REST_STREAK + 1, MIF_LAG_BURST, PATIENCE - 1);
	return rest;
}

static void
until_a_half_is_free(void **state)
{
	struct mif_rest rest = resting();

	(void)state;
	assert_true(mif_rest_is_on(&rest));
	for (uint32_t free = 0; free < SIZE / 2; free += MIF_LAG_BURST) {
		assert_true(goes_on(&rest, free));
		ticks += PATIENCE - 1;
	}
	assert_false(goes_on(&rest, SIZE / 2));
	assert_false(mif_rest_is_on(&rest));
}

static void
it_takes_a_streak(void **state)
{
	struct mif_rest rest = mif_rest_init(SIZE, SECOND);

	(void)state;
	ticks = 10 * SECOND;
	full(&rest, MIF_REST_STREAK, MIF_LAG_BURST, PATIENCE - 1);
	assert_false(mif_rest_is_on(&rest));
	full(&rest, 1, MIF_LAG_BURST, PATIENCE - 1);
	assert_true(mif_rest_is_on(&rest));
}

static void
not_for_single_packets_or_slow_bursts(void **state)
{
	struct mif_rest rest = mif_rest_init(SIZE, SECOND);

	(void)state;
	ticks = 10 * SECOND;
	full(&rest, 10 * MIF_REST_STREAK, MIF_LAG_BURST - 1, 1);
	assert_false(mif_rest_is_on(&rest));
	full(&rest, 10 * MIF_REST_STREAK, MIF_LAG_BURST, PATIENCE);
	assert_false(mif_rest_is_on(&rest));
}

/* Nor for one that gives back a few slots only, however often. */
static void
not_for_a_slow_receiver(void **state)
{
	struct mif_rest rest = resting();
	uint32_t free = 0;

	(void)state;
	for (uint64_t begin = ticks; ticks - begin < PATIENCE; ticks += PATIENCE / 20)
		assert_true(goes_on(&rest, free++));
	assert_true(free < MIF_LAG_BURST);
	assert_false(goes_on(&rest, free));
	assert_false(mif_rest_is_on(&rest));
}

static void
not_for_small_rings(void **state)
{
	struct mif_rest rest = mif_rest_init(MIF_REST_SIZE_MIN / 2, SECOND);

	(void)state;
	ticks = 10 * SECOND;
	full(&rest, 10 * MIF_REST_STREAK, MIF_LAG_BURST, 1);
	assert_false(mif_rest_is_on(&rest));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(until_a_half_is_free),
		cmocka_unit_test(it_takes_a_streak),
		cmocka_unit_test(not_for_single_packets_or_slow_bursts),
		cmocka_unit_test(not_for_a_slow_receiver),
		cmocka_unit_test(not_for_small_rings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

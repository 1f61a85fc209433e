/* SPDX-License-Identifier: BSD-3-Clause */

/* Slots are left to a sender as long as it streams, and to nobody else; none for ever. */

#include "memif_lag.h"
#include "unit.h"

#define SIZE 1024
#define LAG 128
#define SECOND UINT64_C(1000000000) /* ticks are nanoseconds */
#define PATIENCE (MIF_LAG_US * 1000)

static uint64_t ticks;

static uint64_t
now(void)
{
	return ticks;
}

static uint32_t
ready(struct mif_lag *lag, uint32_t slots)
{
	return mif_lag_ready(lag, slots, now);
}

static void
took(struct mif_lag *lag, uint32_t packets)
{
	mif_lag_took(lag, packets, now);
}

/* So many full bursts, each so long after the one before; all that is ready is taken meanwhile. */
static void
full_bursts(struct mif_lag *lag, int count, uint64_t pause)
{
	for (int i = 0; i < count; i++) {
		ticks += pause;
		took(lag, MIF_LAG_BURST);
	}
}

static struct mif_lag
streaming(uint32_t wanted, uint32_t size)
{
	struct mif_lag lag = mif_lag_init(wanted, size, SECOND);

	ticks = 10 * SECOND;
	full_bursts(&lag, MIF_LAG_STREAK + 2 + LAG / MIF_LAG_STEP, PATIENCE - 1);
	return lag;
}

static void
stream_keeps_its_distance(void **state)
{
	struct mif_lag lag = streaming(LAG, SIZE);

	(void)state;
	assert_int_equal(ready(&lag, LAG), 0);
	assert_int_equal(ready(&lag, LAG + MIF_LAG_BURST - 1), 0);
	assert_int_equal(ready(&lag, LAG + MIF_LAG_BURST), MIF_LAG_BURST);
	assert_int_equal(ready(&lag, SIZE), SIZE - LAG);
}

static void
it_takes_a_streak(void **state)
{
	struct mif_lag lag = mif_lag_init(LAG, SIZE, SECOND);

	(void)state;
	ticks = 10 * SECOND;
	full_bursts(&lag, MIF_LAG_STREAK + 1, PATIENCE - 1);
	assert_int_equal(ready(&lag, 1), 1);
	full_bursts(&lag, 1, PATIENCE - 1);
	assert_int_equal(ready(&lag, 1), 0);
}

/* So that it never has to wait for more than some packets more than those of a burst. */
static void
distance_grows_step_by_step(void **state)
{
	struct mif_lag lag = mif_lag_init(LAG, SIZE, SECOND);

	(void)state;
	ticks = 10 * SECOND;
	full_bursts(&lag, MIF_LAG_STREAK + 1, PATIENCE - 1);
	for (uint32_t slots = MIF_LAG_STEP; slots < LAG; slots += MIF_LAG_STEP) {
		full_bursts(&lag, 1, PATIENCE - 1);
		assert_int_equal(ready(&lag, SIZE), SIZE - slots);
	}
	full_bursts(&lag, 10, PATIENCE - 1);
	assert_int_equal(ready(&lag, SIZE), SIZE - LAG);
}

static void
slow_bursts_are_no_stream(void **state)
{
	struct mif_lag lag = mif_lag_init(LAG, SIZE, SECOND);

	(void)state;
	ticks = 10 * SECOND;
	full_bursts(&lag, 10 * MIF_LAG_STREAK, PATIENCE);
	assert_int_equal(ready(&lag, 1), 1);
}

static void
short_bursts_are_no_stream(void **state)
{
	struct mif_lag lag = mif_lag_init(LAG, SIZE, SECOND);

	(void)state;
	ticks = 10 * SECOND;
	for (int i = 0; i < 10 * MIF_LAG_STREAK; i++)
		took(&lag, MIF_LAG_BURST - 1);
	assert_int_equal(ready(&lag, 1), 1);
}

static void
what_is_left_waits_for_the_patience_only(void **state)
{
	struct mif_lag lag = streaming(LAG, SIZE);

	(void)state;
	ticks += PATIENCE - 1;
	assert_int_equal(ready(&lag, LAG), 0);
	ticks++;
	assert_int_equal(ready(&lag, LAG), LAG);
	took(&lag, MIF_LAG_BURST);
	assert_int_equal(ready(&lag, LAG - MIF_LAG_BURST), LAG - MIF_LAG_BURST);
}

/* One packet now and then does not draw it out. */
static void
trickle_ends_the_stream(void **state)
{
	struct mif_lag lag = streaming(LAG, SIZE);
	uint32_t slots = 0;

	(void)state;
	for (uint64_t begin = ticks; ticks - begin < PATIENCE; ticks += PATIENCE / 10)
		assert_int_equal(ready(&lag, ++slots), 0);
	assert_int_equal(ready(&lag, slots), slots);
}

/* Its sender has gone on meanwhile; or has not, then nothing is left to it. */
static void
stream_survives_a_preempted_receiver(void **state)
{
	struct mif_lag lag = streaming(LAG, SIZE);

	(void)state;
	ticks += SECOND;
	assert_int_equal(ready(&lag, SIZE), SIZE - LAG);
	took(&lag, MIF_LAG_BURST);
	assert_int_equal(ready(&lag, LAG), 0);
	ticks += SECOND;
	assert_int_equal(ready(&lag, LAG), LAG);
}

/* Longer than what it may take: a chain, or a packet for which there was no mbuf. */
static void
burst_of_nothing_ends_the_stream(void **state)
{
	struct mif_lag lag = streaming(LAG, SIZE);

	(void)state;
	assert_int_equal(ready(&lag, 500), 500 - LAG);
	took(&lag, 0);
	assert_int_equal(ready(&lag, 500), 500);
}

static void
no_more_than_a_quarter_of_the_ring(void **state)
{
	struct mif_lag lag = streaming(UINT16_MAX, 256);

	(void)state;
	assert_int_equal(ready(&lag, 63 + MIF_LAG_BURST), 0);
	assert_int_equal(ready(&lag, 64 + MIF_LAG_BURST), MIF_LAG_BURST);
	lag = streaming(LAG, 2);
	assert_int_equal(ready(&lag, 1), 1);
}

static void
none_when_not_wanted(void **state)
{
	struct mif_lag lag = streaming(0, SIZE);

	(void)state;
	for (uint32_t slots = 0; slots <= SIZE; slots++)
		assert_int_equal(ready(&lag, slots), slots);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stream_keeps_its_distance),
		cmocka_unit_test(it_takes_a_streak),
		cmocka_unit_test(distance_grows_step_by_step),
		cmocka_unit_test(slow_bursts_are_no_stream),
		cmocka_unit_test(short_bursts_are_no_stream),
		cmocka_unit_test(what_is_left_waits_for_the_patience_only),
		cmocka_unit_test(trickle_ends_the_stream),
		cmocka_unit_test(stream_survives_a_preempted_receiver),
		cmocka_unit_test(burst_of_nothing_ends_the_stream),
		cmocka_unit_test(no_more_than_a_quarter_of_the_ring),
		cmocka_unit_test(none_when_not_wanted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */

#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "memif_gate.h"
#include "unit.h"

static int behind, other;

static void
closed_gate(void **state)
{
	struct mif_gate gate;

	(void)state;
	memset(&gate, 0xee, sizeof(gate));
	mif_gate_init(&gate);
	assert_true(mif_gate_idle(&gate));
	assert_null(mif_gate_enter(&gate));
	/* Inside, although there is nothing: whoever enters must leave. */
	assert_false(mif_gate_idle(&gate));
	mif_gate_leave(&gate);
	assert_true(mif_gate_idle(&gate));
	assert_null(mif_gate_close(&gate));
}

static void
open_gate(void **state)
{
	struct mif_gate gate;

	(void)state;
	mif_gate_init(&gate);
	mif_gate_open(&gate, &behind);
	for (int burst = 0; burst < 3; burst++) {
		assert_true(mif_gate_idle(&gate));
		assert_ptr_equal(mif_gate_enter(&gate), &behind);
		assert_false(mif_gate_idle(&gate));
		mif_gate_leave(&gate);
	}
	assert_true(mif_gate_idle(&gate));
}

static void
closing_tells_what_was_behind(void **state)
{
	struct mif_gate gate;

	(void)state;
	mif_gate_init(&gate);
	mif_gate_open(&gate, &behind);
	assert_ptr_equal(mif_gate_close(&gate), &behind);
	assert_null(mif_gate_close(&gate));
	mif_gate_open(&gate, &other);
	assert_ptr_equal(mif_gate_enter(&gate), &other);
	mif_gate_leave(&gate);
	assert_ptr_equal(mif_gate_close(&gate), &other);
}

static void
closing_does_not_wait_for_a_burst(void **state)
{
	struct mif_gate gate;

	(void)state;
	mif_gate_init(&gate);
	mif_gate_open(&gate, &behind);
	assert_ptr_equal(mif_gate_enter(&gate), &behind);
	assert_ptr_equal(mif_gate_close(&gate), &behind);
	mif_gate_barrier();
	assert_false(mif_gate_idle(&gate));
	assert_false(mif_gate_idle(&gate));
	mif_gate_leave(&gate);
	assert_true(mif_gate_idle(&gate));
	assert_null(mif_gate_enter(&gate));
	mif_gate_leave(&gate);
}

static void
gates_are_apart(void **state)
{
	struct mif_gate one, two;

	(void)state;
	mif_gate_init(&one);
	mif_gate_init(&two);
	mif_gate_open(&one, &behind);
	mif_gate_open(&two, &other);
	assert_ptr_equal(mif_gate_enter(&one), &behind);
	assert_true(mif_gate_idle(&two));
	assert_ptr_equal(mif_gate_close(&two), &other);
	mif_gate_leave(&one);
	assert_ptr_equal(mif_gate_enter(&one), &behind);
	mif_gate_leave(&one);
}

#define GATES 4
#define BLOCKS 8
#define WORDS 64
#define SECONDS 2
#define SECONDS_MOST 40 /* where this process hardly gets to run */
#define BURSTS_LEAST 10000
#define ALIVE UINT64_C(0x600d600d600d600d)
#define POISON UINT64_C(0xdeaddeaddeaddead)

/** What a burst uses while it is inside. */
struct block {
	uint64_t words[WORDS];
};

/** A burst thread and the control thread. */
struct stress {
	struct mif_gate gates[GATES];
	struct block blocks[BLOCKS];
	atomic_uint busy_line
			__attribute__((aligned(64))); /* written by both, so stores to it wait */
	atomic_bool stop __attribute__((aligned(64)));
	atomic_ullong inside; /* bursts that found something behind the gate */
	uint64_t bursts, poisoned;
};

/* Long enough for the control thread to poison it meanwhile, if it thinks that nobody is inside. */
static bool
all_alive(const struct block *block)
{
	bool alive = true;

	for (int i = 0; i < WORDS; i++)
		alive &= *(const volatile uint64_t *)&block->words[i] == ALIVE;
	return alive;
}

static void *
bursts(void *argument)
{
	struct stress *stress = argument;

	while (!atomic_load_explicit(&stress->stop, memory_order_relaxed)) {
		struct mif_gate *gate = &stress->gates[stress->bursts++ % GATES];
		const struct block *block;

		/* In front of the gate's own store, which has to wait for this one. */
		atomic_store_explicit(&stress->busy_line, 1, memory_order_relaxed);
		block = mif_gate_enter(gate);
		if (block != NULL) {
			atomic_fetch_add_explicit(&stress->inside, 1, memory_order_relaxed);
			stress->poisoned += !all_alive(block);
		}
		mif_gate_leave(gate);
	}
	return NULL;
}

static void
fill(struct block *block, uint64_t value)
{
	for (int i = 0; i < WORDS; i++)
		block->words[i] = value;
}

/* The control thread's part: open all gates, close them with one barrier, reclaim. */
static void
one_connection(struct stress *stress, unsigned int round, uint32_t *seed)
{
	struct block *taken[GATES];

	for (unsigned int i = 0; i < GATES; i++) {
		struct block *block = &stress->blocks[(round * GATES + i) % BLOCKS];

		fill(block, ALIVE);
		mif_gate_open(&stress->gates[i], block);
	}
	for (uint32_t pause = unit_random(seed) % 256; pause != 0; pause--)
		atomic_store_explicit(&stress->busy_line, 2, memory_order_relaxed);
	for (unsigned int i = 0; i < GATES; i++)
		taken[i] = mif_gate_close(&stress->gates[i]);
	mif_gate_barrier();
	for (unsigned int i = 0; i < GATES; i++) {
		while (!mif_gate_idle(&stress->gates[i]))
			sched_yield();
		fill(taken[i], POISON);
	}
}

static bool
enough(struct stress *stress, time_t since)
{
	struct timespec now;
	bool most, least;

	clock_gettime(CLOCK_MONOTONIC, &now);
	most = now.tv_sec - since > SECONDS_MOST;
	least = now.tv_sec - since > SECONDS;
	return most || (least && atomic_load(&stress->inside) >= BURSTS_LEAST);
}

static void
run_stress(bool fence)
{
	struct stress *stress = aligned_alloc(64, sizeof(*stress));
	struct timespec start;
	uint32_t seed = 4711;
	pthread_t thread;
	unsigned long long inside, poisoned;

	assert_non_null(stress);
	memset(stress, 0, sizeof(*stress));
	for (unsigned int i = 0; i < GATES; i++) {
		mif_gate_init(&stress->gates[i]);
		assert_int_equal(stress->gates[i].fence, fence);
	}
	assert_int_equal(pthread_create(&thread, NULL, bursts, stress), 0);
	alarm(SECONDS_MOST + 10); /* a gate that never gets idle */
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (unsigned int round = 0; round % 64 != 0 || !enough(stress, start.tv_sec); round++)
		one_connection(stress, round, &seed);
	alarm(0);
	atomic_store(&stress->stop, true);
	pthread_join(thread, NULL);
	inside = stress->inside;
	poisoned = stress->poisoned;
	free(stress);
	if (poisoned != 0 || inside < BURSTS_LEAST)
		print_message("# %llu of %llu bursts saw reclaimed memory\n", poisoned, inside);
	assert_int_equal(poisoned, 0);
	assert_in_range(inside, BURSTS_LEAST, ULLONG_MAX); /* or nothing was tested */
}

/* Before mif_gate_setup(), and where the kernel has no membarrier(2). */
static void
stress_with_a_fence_per_burst(void **state)
{
	(void)state;
	run_stress(true);
}

static int setup_result;

static void
stress_with_membarrier(void **state)
{
	(void)state;
	setup_result = mif_gate_setup();
	if (setup_result != 0)
		unit_skip("this kernel has no membarrier(2)");
	run_stress(false);
	assert_int_equal(mif_gate_setup(), 0); /* once more does no harm */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(closed_gate),
		cmocka_unit_test(open_gate),
		cmocka_unit_test(closing_tells_what_was_behind),
		cmocka_unit_test(closing_does_not_wait_for_a_burst),
		cmocka_unit_test(gates_are_apart),
		/* In this order: what mif_gate_setup() does cannot be undone. */
		cmocka_unit_test(stress_with_a_fence_per_burst),
		cmocka_unit_test(stress_with_membarrier),
		cmocka_unit_test(closed_gate),
		cmocka_unit_test(open_gate),
		cmocka_unit_test(closing_tells_what_was_behind),
		cmocka_unit_test(closing_does_not_wait_for_a_burst),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

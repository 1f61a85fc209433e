/* SPDX-License-Identifier: BSD-3-Clause */

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "memif_gate.h"
#include "memif_loan.h"
#include "unit.h"

#define SLOTS 8u
#define ROUNDS 100000u

/* A ring's loans, and the index that its client sees. */
struct fixture {
	struct mif_loans loans;
	struct mif_loan slots[SLOTS];
	uint64_t data[SLOTS]; /* the client's packets: their index; a sanitizer tells words apart */
	uint16_t tail;
	uint16_t taken; /* private to the receiver */
};

static void
begin(struct fixture *fix, bool locked)
{
	memset(fix, 0, sizeof(*fix));
	mif_loans_init(&fix->loans, fix->slots, SLOTS, &fix->tail, mif_gate_needs_fence());
	fix->loans.locked = locked;
}

static struct mif_loan *
slot_of(struct fixture *fix, uint16_t index)
{
	return &fix->slots[index & (SLOTS - 1)];
}

/*
 * The client fills so many slots, the receiver takes them; it lends those whose bits are set, the
 * first one's is bit 0.
 */
static void
take(struct fixture *fix, unsigned int count, unsigned int lent)
{
	for (unsigned int i = 0; i < count; i++) {
		fix->data[(fix->taken + i) & (SLOTS - 1)] = (uint16_t)(fix->taken + i);
		if ((lent >> i & 1) != 0)
			mif_loan_begin(&fix->loans, slot_of(fix, (uint16_t)(fix->taken + i)));
	}
	fix->taken = (uint16_t)(fix->taken + count);
	mif_loans_taken(&fix->loans, fix->taken, lent != 0);
}

static unsigned int
end_loan(struct fixture *fix, uint16_t index)
{
	unsigned int attention;

	assert_ptr_equal(mif_loan_end(slot_of(fix, index), &attention), &fix->loans);
	return attention;
}

static void
nothing_lent(void **state)
{
	struct fixture fix;

	(void)state;
	begin(&fix, false);
	/* Over several turns of the index; what is copied goes back at once. */
	for (unsigned int i = 0; i < 3 * 65536u; i += 5) {
		take(&fix, 5, 0);
		assert_int_equal(mif_loans_out(&fix.loans), 5);
		mif_loans_give_back(&fix.loans);
		assert_int_equal(fix.tail, fix.taken);
		assert_int_equal(mif_loans_out(&fix.loans), 0);
	}
}

static void
given_back_in_order(void **state)
{
	struct fixture fix;
	uint16_t at;

	(void)state;
	begin(&fix, false);
	for (unsigned int round = 0; round < 20000; round++) {
		at = fix.taken;
		/* Copied, lent, copied, lent, lent, copied. */
		take(&fix, 6, 0x1a);
		mif_loans_give_back(&fix.loans);
		assert_int_equal(fix.tail, (uint16_t)(at + 1));
		end_loan(&fix, (uint16_t)(at + 3));
		mif_loans_give_back(&fix.loans);
		assert_int_equal(fix.tail, (uint16_t)(at + 1));
		assert_false(mif_loans_pending(&fix.loans));
		end_loan(&fix, (uint16_t)(at + 1));
		assert_true(mif_loans_pending(&fix.loans));
		mif_loans_give_back(&fix.loans);
		assert_int_equal(fix.tail, (uint16_t)(at + 4));
		take(&fix, 1, 0);
		mif_loans_give_back(&fix.loans);
		assert_int_equal(fix.tail, (uint16_t)(at + 4));
		end_loan(&fix, (uint16_t)(at + 4));
		mif_loans_give_back(&fix.loans);
		assert_int_equal(fix.tail, fix.taken);
	}
}

/* The last lent slot is long ago, by more than half of the index's range. */
static void
long_without_loans(void **state)
{
	struct fixture fix;

	(void)state;
	for (unsigned int between = 0; between < 3 * 65536u; between += 997) {
		begin(&fix, false);
		take(&fix, 1, 1);
		end_loan(&fix, 0);
		mif_loans_give_back(&fix.loans);
		for (unsigned int i = 0; i < between; i++) {
			take(&fix, 1, 0);
			mif_loans_give_back(&fix.loans);
		}
		assert_int_equal(fix.tail, fix.taken);
		take(&fix, 3, 2);
		mif_loans_give_back(&fix.loans);
		assert_int_equal(fix.tail, (uint16_t)(fix.taken - 2));
		end_loan(&fix, (uint16_t)(fix.taken - 2));
		mif_loans_give_back(&fix.loans);
		assert_int_equal(fix.tail, fix.taken);
	}
}

static void
attention_is_seen(void **state)
{
	struct fixture fix;
	unsigned int usual = mif_gate_needs_fence() ? MIF_LOANS_FENCE : 0;

	(void)state;
	begin(&fix, true);
	take(&fix, 4, 0xf);
	assert_int_equal(end_loan(&fix, 0), usual);
	mif_loans_sleep(&fix.loans);
	assert_int_equal(end_loan(&fix, 1), usual | MIF_LOANS_ASLEEP);
	assert_int_equal(mif_loans_enter(&fix.loans), usual | MIF_LOANS_ASLEEP);
	assert_false(mif_loans_idle(&fix.loans));
	mif_loans_leave(&fix.loans);
	assert_true(mif_loans_idle(&fix.loans));
	mif_loans_wake(&fix.loans);
	assert_int_equal(end_loan(&fix, 2), usual);
	mif_loans_end(&fix.loans);
	assert_false(mif_loans_all_over(&fix.loans));
	assert_int_equal(end_loan(&fix, 3), usual | MIF_LOANS_ENDED);
	assert_true(mif_loans_all_over(&fix.loans));
}

static void
who_gets_no_lock_leaves(void **state)
{
	struct fixture fix;

	(void)state;
	begin(&fix, true);
	take(&fix, 2, 3);
	end_loan(&fix, 0);
	atomic_store(&fix.loans.lock, 1);
	mif_loans_give_back(&fix.loans);
	assert_int_equal(fix.tail, 0);
	atomic_store(&fix.loans.lock, 0);
	mif_loans_give_back(&fix.loans);
	assert_int_equal(fix.tail, 1);
	assert_int_equal(atomic_load(&fix.loans.lock), 0);
}

/* A thread that ends the loans it is given, each in its turn. */
struct borrower {
	struct fixture *fix;
	pthread_t thread;
	unsigned int number;
	_Atomic(uint16_t) *handed; /* slots before it are lent */
	atomic_bool *ending;
};

#define BORROWERS 3u

/* The driver's on_free(). */
static void
give(struct fixture *fix, uint16_t index)
{
	unsigned int attention = end_loan(fix, index);

	if (attention == 0)
		return;
	attention = mif_loans_enter(&fix->loans);
	if ((attention & MIF_LOANS_ASLEEP) != 0)
		mif_loans_give_back(&fix->loans);
	mif_loans_leave(&fix->loans);
}

static void *
borrow(void *arg)
{
	struct borrower *borrower = arg;
	uint16_t at = (uint16_t)borrower->number;

	while (!atomic_load(borrower->ending)) {
		if ((int16_t)(atomic_load(borrower->handed) - at) <= 0) {
			sched_yield();
			continue;
		}
		if (borrower->fix->data[at & (SLOTS - 1)] != at)
			abort(); /* filled again while it was lent */
		give(borrower->fix, at);
		at = (uint16_t)(at + BORROWERS);
	}
	return NULL;
}

/*
 * The receiver lends a ring's slots and goes to sleep: others end the loans, in whatever order they
 * come, and all slots must go back without it.
 */
static void
sleeper_gets_all_back(void **state)
{
	struct borrower borrowers[BORROWERS];
	_Atomic(uint16_t) handed = 0;
	atomic_bool ending = false;
	struct fixture fix;
	unsigned long spins;

	(void)state;
	begin(&fix, true);
	for (unsigned int i = 0; i < BORROWERS; i++) {
		borrowers[i] = (struct borrower){
			.fix = &fix, .number = i, .handed = &handed, .ending = &ending
		};
		assert_int_equal(pthread_create(&borrowers[i].thread, NULL, borrow, &borrowers[i]),
				0);
	}
	for (unsigned int round = 0; round < ROUNDS / SLOTS; round++) {
		take(&fix, SLOTS, 0xff);
		if (round % 2 == 0)
			atomic_store(&handed, fix.taken);
		mif_loans_sleep(&fix.loans);
		assert_int_equal(mif_gate_barrier(), 0);
		mif_loans_give_back(&fix.loans);
		if (round % 2 != 0)
			atomic_store(&handed, fix.taken);
		for (spins = 0; mif_ring_peek(&fix.tail) != fix.taken; spins++) {
			if (spins > 100000000ul)
				fail_msg("round %u: slots do not come back: %u of %u", round,
						fix.tail, fix.taken);
			sched_yield();
		}
		mif_loans_wake(&fix.loans);
	}
	atomic_store(&ending, true);
	for (unsigned int i = 0; i < BORROWERS; i++)
		pthread_join(borrowers[i].thread, NULL);
	assert_true(mif_loans_idle(&fix.loans));
}

/* Between threads: the client writes into a slot only what nobody reads any more. */
static void
nobody_reads_what_is_given_back(void **state)
{
	struct borrower borrowers[BORROWERS];
	_Atomic(uint16_t) handed = 0;
	atomic_bool ending = false;
	struct fixture fix;
	uint16_t client = 0;

	(void)state;
	begin(&fix, false);
	for (unsigned int i = 0; i < BORROWERS; i++) {
		borrowers[i] = (struct borrower){
			.fix = &fix, .number = i, .handed = &handed, .ending = &ending
		};
		assert_int_equal(pthread_create(&borrowers[i].thread, NULL, borrow, &borrowers[i]),
				0);
	}
	for (unsigned int done = 0; done < ROUNDS;) {
		mif_loans_give_back(&fix.loans);
		for (; client != mif_ring_peek(&fix.tail); client++, done++)
			assert_null(atomic_load(&slot_of(&fix, client)->lender));
		if (mif_loans_out(&fix.loans) == SLOTS) {
			sched_yield();
			continue;
		}
		take(&fix, 1, 1);
		atomic_store(&handed, fix.taken);
	}
	atomic_store(&ending, true);
	for (unsigned int i = 0; i < BORROWERS; i++)
		pthread_join(borrowers[i].thread, NULL);
}

static int
set_up(void **state)
{
	(void)state;
	mif_gate_setup();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_lent),
		cmocka_unit_test(given_back_in_order),
		cmocka_unit_test(long_without_loans),
		cmocka_unit_test(attention_is_seen),
		cmocka_unit_test(who_gets_no_lock_leaves),
		cmocka_unit_test(sleeper_gets_all_back),
		cmocka_unit_test(nobody_reads_what_is_given_back),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}

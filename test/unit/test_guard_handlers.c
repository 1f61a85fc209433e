/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What is not the guard's: faults elsewhere and signals that were sent end the process, or go to the
 * handler that was there before. Tried in a child.
 */

#include <signal.h>
#include <unistd.h>

#include "memif_guard.h"
#include "unit.h"
#include "victim.h"

static struct victim guarded, unguarded;

static bool
fault_outside(void)
{
	if (!victim_open(&guarded, 0, PAGE) || !victim_open(&unguarded, 0, PAGE) ||
			guard(&guarded) != 0 || ftruncate(unguarded.fd, 0) != 0)
		return false;
	peek(&unguarded, 0);
	return true;
}

static int
fault_outside_by_default(void)
{
	fault_outside();
	return 1;
}

static int
fault_outside_ignored(void)
{
	signal(SIGBUS, SIG_IGN); /* does not count for a fault */
	fault_outside();
	return 1;
}

/* Only pages 2 and 3 are guarded: up to their last byte, and not the next one. */
static int
fault_behind_the_end(void)
{
	if (!victim_open(&guarded, 0, PAGE) || guard_part(&guarded, 2, 2) != 0 ||
			ftruncate(guarded.fd, 0) != 0)
		return 2;
	peek(&guarded, 2 * PAGE);
	peek(&guarded, 4 * PAGE - 1);
	if (fault_of(&guarded) != BROKEN)
		return 3;
	peek(&guarded, 4 * PAGE);
	return 1;
}

/* The kernel's own end of a process is not hindered. */
static void
faults_elsewhere_kill(void **state)
{
	(void)state;
	assert_int_equal(in_child(fault_behind_the_end), -SIGBUS);
	assert_int_equal(in_child(fault_outside_by_default), -SIGBUS);
	assert_int_equal(in_child(fault_outside_ignored), -SIGBUS);
}

static void
leave_with_42(int signal_number, siginfo_t *info, void *context)
{
	(void)context;
	_exit(signal_number == SIGBUS && info->si_addr == unguarded.addr ? 42 : 2);
}

static void
leave_with_43(int signal_number)
{
	_exit(signal_number == SIGBUS ? 43 : 2);
}

static int
fault_outside_with_siginfo(void)
{
	struct sigaction action = { .sa_sigaction = leave_with_42, .sa_flags = SA_SIGINFO };

	sigaction(SIGBUS, &action, NULL);
	fault_outside();
	return 1;
}

static int
fault_outside_with_handler(void)
{
	signal(SIGBUS, leave_with_43);
	fault_outside();
	return 1;
}

static void
faults_elsewhere_go_to_the_handler_before(void **state)
{
	(void)state;
	assert_int_equal(in_child(fault_outside_with_siginfo), 42);
	assert_int_equal(in_child(fault_outside_with_handler), 43);
}

static int
fault_after_removal(void)
{
	if (!victim_open(&guarded, 0, PAGE) || guard(&guarded) != 0)
		return 2;
	mif_guard_remove(guarded.addr);
	if (ftruncate(guarded.fd, 0) != 0)
		return 3;
	peek(&guarded, 0);
	return 1;
}

static void
removed_guard_does_not_guard(void **state)
{
	(void)state;
	assert_int_equal(in_child(fault_after_removal), -SIGBUS);
}

static int
sent_by_kill(void)
{
	if (!victim_open(&guarded, 0, PAGE) || guard(&guarded) != 0)
		return 2;
	kill(getpid(), SIGBUS);
	return 1;
}

static int
sent_by_kill_ignored(void)
{
	signal(SIGBUS, SIG_IGN);
	if (!victim_open(&guarded, 0, PAGE) || guard(&guarded) != 0)
		return 2;
	kill(getpid(), SIGBUS);
	/* It must not have cost us the handler. */
	if (ftruncate(guarded.fd, 0) != 0)
		return 3;
	peek(&guarded, 0);
	return fault_of(&guarded) == BROKEN ? 44 : 4;
}

/* `kill -BUS` is no fault: it ends the process, or is ignored, as without us. */
static void
sent_signals_are_passed_on(void **state)
{
	(void)state;
	assert_int_equal(in_child(sent_by_kill), -SIGBUS);
	assert_int_equal(in_child(sent_by_kill_ignored), 44);
}

static int
handler_put_over_ours(void)
{
	struct victim second;

	if (!victim_open(&guarded, 0, PAGE) || guard(&guarded) != 0)
		return 2;
	signal(SIGBUS, leave_with_43); /* an application that knows nothing of us */
	if (!victim_open(&second, 0, PAGE) || guard(&second) != 0)
		return 3;
	if (ftruncate(guarded.fd, 0) != 0)
		return 4;
	peek(&guarded, 0);
	return fault_of(&guarded) == BROKEN ? 44 : 5;
}

static void
next_guard_puts_the_handler_back(void **state)
{
	(void)state;
	assert_int_equal(in_child(handler_put_over_ours), 44);
}

static void
handler_goes_with_the_last_guard(void **state)
{
	struct sigaction before, during, after;
	struct victim one, two;

	(void)state;
	sigaction(SIGBUS, NULL, &before);
	assert_true(victim_open(&one, 0, PAGE));
	assert_true(victim_open(&two, 0, PAGE));
	assert_int_equal(guard(&one), 0);
	assert_int_equal(guard(&two), 0);
	sigaction(SIGBUS, NULL, &during);
	assert_true(during.sa_sigaction != before.sa_sigaction);
	victim_close(&one);
	sigaction(SIGBUS, NULL, &after);
	assert_true(after.sa_sigaction == during.sa_sigaction);
	victim_close(&two);
	sigaction(SIGBUS, NULL, &after);
	assert_true(after.sa_sigaction == before.sa_sigaction);
	mif_guard_remove(one.addr); /* not guarded any more */
	mif_guard_remove(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(faults_elsewhere_kill),
		cmocka_unit_test(faults_elsewhere_go_to_the_handler_before),
		cmocka_unit_test(removed_guard_does_not_guard),
		cmocka_unit_test(sent_signals_are_passed_on),
		cmocka_unit_test(next_guard_puts_the_handler_back),
		cmocka_unit_test(handler_goes_with_the_last_guard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

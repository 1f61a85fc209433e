/* SPDX-License-Identifier: BSD-3-Clause */

/* Several processes that all want to listen at one place, at the same moment. */

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memif_sock.h"
#include "sock_place.h"
#include "unit.h"

#define ROUNDS 300
#define RIVALS_MAX 4

/** Shared by all of them. */
struct race {
	atomic_uint arrived; /**< those that wait for the start, over all rounds */
	atomic_uint winners; /**< of this round */
	atomic_uint done;    /**< those whose mif_sock_listen() has returned, over all rounds */
	atomic_uint tidy;    /**< those that have let go of it, over all rounds */
	atomic_uint wrong;   /**< results that are neither */
	atomic_uint bad_rounds;
};

static struct race *race;

static void
wait_for(atomic_uint *counter, unsigned int value)
{
	unsigned int spins = 0;

	atomic_fetch_add(counter, 1);
	while (atomic_load(counter) < value)
		if (++spins % 1000 == 0)
			sched_yield();
}

/* Who does not get its turn for long, as the one that has it was preempted, is told to try again. */
static int
listen_patiently(struct mif_sock_listener *listener, const struct mif_sock_access *access)
{
	int ret;

	do
		ret = mif_sock_listen(listener, &place, access);
	while (ret == -EBUSY);
	return ret;
}

/* One process, all rounds; the first of them prepares and judges. */
static void
compete(unsigned int me, unsigned int rivals, bool stale)
{
	/* What has to be set makes the time between bind() and listen() longer. */
	const struct mif_sock_access access = { geteuid(), getegid(), 0600 };
	struct mif_sock_listener listener;
	int ret, fd;

	for (unsigned int round = 1; round <= ROUNDS; round++) {
		if (me == 0 && stale)
			place_leave_stale(SOCK_SEQPACKET);
		wait_for(&race->arrived, round * rivals);
		ret = listen_patiently(&listener, &access);
		if (ret == 0)
			atomic_fetch_add(&race->winners, 1);
		else if (ret != -EADDRINUSE)
			atomic_fetch_add(&race->wrong, 1);
		wait_for(&race->done, round * rivals);
		if (me == 0) {
			fd = mif_sock_connect(&place);
			if (atomic_exchange(&race->winners, 0) != 1 || fd < 0)
				atomic_fetch_add(&race->bad_rounds, 1);
			if (fd >= 0)
				close(fd);
		}
		wait_for(&race->tidy, 2 * round * rivals - rivals);
		if (ret == 0)
			mif_sock_unlisten(&listener, &place);
		if (me == 0)
			unlink(place.un.sun_path);
		wait_for(&race->tidy, 2 * round * rivals);
	}
}

static void
run(unsigned int rivals, bool stale)
{
	pid_t children[RIVALS_MAX];
	int status;

	race = mmap(NULL, sizeof(*race), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(race != MAP_FAILED);
	for (unsigned int i = 1; i < rivals; i++) {
		children[i] = fork();
		assert_true(children[i] >= 0);
		if (children[i] == 0) {
			alarm(55); /* should this one be left alone */
			compete(i, rivals, stale);
			_exit(0);
		}
	}
	compete(0, rivals, stale);
	for (unsigned int i = 1; i < rivals; i++) {
		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_int_equal(status, 0);
	}
	if (race->bad_rounds != 0 || race->wrong != 0)
		print_message("# of %u rounds, %u had not one winner; %u unexpected errors\n",
				ROUNDS, atomic_load(&race->bad_rounds), atomic_load(&race->wrong));
	assert_int_equal(race->bad_rounds, 0);
	assert_int_equal(race->wrong, 0);
	munmap(race, sizeof(*race));
}

static void
two_processes_and_a_stale_file(void **state)
{
	(void)state;
	run(2, true);
}

static void
two_processes_and_no_file(void **state)
{
	(void)state;
	run(2, false);
}

static void
four_processes_and_a_stale_file(void **state)
{
	(void)state;
	run(4, true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_processes_and_a_stale_file),
		cmocka_unit_test(two_processes_and_no_file),
		cmocka_unit_test(four_processes_and_a_stale_file),
	};

	return cmocka_run_group_tests(tests, place_make, place_remove);
}

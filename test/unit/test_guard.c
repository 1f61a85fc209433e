/* SPDX-License-Identifier: BSD-3-Clause */

/* Memory that is pulled away. What kills a process is tried in a child. */

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "memif_guard.h"
#include "unit.h"
#include "victim.h"

#define HUGE_PAGE (UINT64_C(2) << 20)
#define MEMFD_2MB (21u << 26) /* MFD_HUGE_2MB, which glibc does not name */

static void
cut_and_survive(unsigned int flags, uint64_t page_size, const char *why_not)
{
	struct unit_holdings before = unit_holdings();
	struct victim victim;

	if (!victim_open(&victim, flags, page_size))
		unit_skip(why_not);
	assert_int_equal(guard(&victim), 0);
	assert_int_equal(ftruncate(victim.fd, (off_t)page_size), 0);
	assert_int_equal(peek(&victim, 5), 0x11); /* what is left, is left */
	assert_int_equal(fault_of(&victim), 0);
	/* Read, write, first and last byte; the whole mapping is replaced at once. */
	assert_int_equal(peek(&victim, 2 * page_size - 1), 0);
	assert_int_equal(fault_of(&victim), BROKEN);
	poke(&victim, 3 * page_size, 9);
	assert_int_equal(peek(&victim, 3 * page_size), 9);
	assert_int_equal(peek(&victim, 3 * page_size + page_size - 1), 0);
	assert_int_equal(peek(&victim, PAGES * page_size - 1), 0);
	assert_int_equal(woken(&victim), 1); /* told once, not per page */
	assert_int_equal(peek(&victim, 5), 0);
	victim_close(&victim);
	assert_holdings(before);
}

static void
file_cut_short(void **state)
{
	(void)state;
	cut_and_survive(0, PAGE, "no memfd");
}

static void
huge_file_cut_short(void **state)
{
	(void)state;
	cut_and_survive(MFD_HUGETLB | MEMFD_2MB, HUGE_PAGE,
			"no 8 free huge pages of 2 MiB (sysctl vm.nr_hugepages)");
}

/* Whom it would wake may be gone, and its file's number be another's. */
static void
silenced(void **state)
{
	struct victim victim;

	(void)state;
	assert_true(victim_open(&victim, 0, PAGE));
	assert_int_equal(guard(&victim), 0);
	mif_guard_silence(victim.addr + PAGE); /* none starts there */
	mif_guard_silence(NULL);
	mif_guard_silence(victim.addr);
	assert_true(mif_guard_idle());
	assert_int_equal(ftruncate(victim.fd, 0), 0);
	assert_int_equal(peek(&victim, 0), 0);
	assert_int_equal(fault_of(&victim), BROKEN);
	assert_int_equal(woken(&victim), 0);
	assert_true(mif_guard_idle());
	victim_close(&victim);
}

static void
first_fault_is_kept(void **state)
{
	struct victim victim;

	(void)state;
	assert_true(victim_open(&victim, 0, PAGE));
	assert_int_equal(guard(&victim), 0);
	*(volatile uint32_t *)&victim.fault = 3; /* broken for another reason already */
	assert_int_equal(ftruncate(victim.fd, 0), 0);
	assert_int_equal(peek(&victim, 0), 0);
	assert_int_equal(fault_of(&victim), 3);
	assert_int_equal(woken(&victim), 0);
	victim_close(&victim);
}

static void
errno_is_kept(void **state)
{
	struct victim victim;

	(void)state;
	assert_true(victim_open(&victim, 0, PAGE));
	close(victim.wake_fd); /* so that the handler's own write fails */
	assert_int_equal(guard(&victim), 0);
	assert_int_equal(ftruncate(victim.fd, 0), 0);
	errno = ENOTTY;
	assert_int_equal(peek(&victim, 0), 0);
	assert_int_equal(errno, ENOTTY);
	victim.wake_fd = -1;
	victim_close(&victim);
}

static void *
touch_all(void *argument)
{
	struct victim *victim = argument;

	for (uint64_t i = 0; i < PAGES; i++)
		poke(victim, i * victim->page_size, 1);
	return NULL;
}

static void
threads_that_fault_together(void **state)
{
	struct victim victim;
	pthread_t threads[4];

	(void)state;
	assert_true(victim_open(&victim, 0, PAGE));
	assert_int_equal(guard(&victim), 0);
	assert_int_equal(ftruncate(victim.fd, 0), 0);
	for (size_t i = 0; i < COUNT_OF(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, touch_all, &victim), 0);
	for (size_t i = 0; i < COUNT_OF(threads); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(fault_of(&victim), BROKEN);
	assert_int_equal(woken(&victim), 1);
	victim_close(&victim);
}

/* Two connections: the fault is told to its own. */
static void
guards_are_apart(void **state)
{
	struct victim one, two;

	(void)state;
	assert_true(victim_open(&one, 0, PAGE));
	assert_true(victim_open(&two, 0, PAGE));
	assert_int_equal(guard(&one), 0);
	assert_int_equal(guard(&two), 0);
	assert_int_equal(ftruncate(two.fd, 0), 0);
	peek(&two, 0);
	assert_int_equal(fault_of(&one), 0);
	assert_int_equal(fault_of(&two), BROKEN);
	mif_guard_remove(two.addr);
	assert_int_equal(ftruncate(one.fd, 0), 0);
	peek(&one, PAGES * PAGE - 1);
	assert_int_equal(fault_of(&one), BROKEN);
	victim_close(&one);
	victim_close(&two);
}

static struct victim guarded; /* a child's */

/* So that each touched page, replaced by itself, would be a mapping between two others. */
static uint64_t
pages_beyond_the_limit(void)
{
	FILE *file = fopen("/proc/sys/vm/max_map_count", "re");
	unsigned long limit = 0;

	if (file == NULL || fscanf(file, "%lu", &limit) != 1)
		limit = 0;
	if (file != NULL)
		fclose(file);
	return 2 * (limit + 1000);
}

static int
every_second_page(void)
{
	uint64_t pages = pages_beyond_the_limit();
	struct victim victim = { .page_size = PAGE };
	struct mif_guard all = { .size = pages * PAGE, .page_size = PAGE, .value = BROKEN };

	victim.fd = memfd_create("unit", MFD_CLOEXEC);
	victim.addr = mmap(NULL, all.size, PROT_READ | PROT_WRITE, MAP_SHARED, victim.fd, 0);
	all.addr = victim.addr;
	all.fault = &victim.fault;
	all.wake_fd = -1;
	if (victim.addr == MAP_FAILED || mif_guard_add(&all) != 0)
		return 2;
	for (uint64_t i = 0; i < pages; i += 2)
		poke(&victim, i * PAGE, 1);
	return fault_of(&victim) == BROKEN ? 44 : 3;
}

/* A burst that reads a chain of one byte in each page must not use up vm.max_map_count. */
static void
any_number_of_pages(void **state)
{
	(void)state;
	assert_int_equal(in_child(every_second_page), 44);
}

/* Pages that were filled: the file's, and those that replace it. */
static int
locked_process(void)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	unsigned char resident[PAGES] = { 0 };
	unsigned int filled = 0;

	if (!victim_open(&guarded, 0, PAGE) || guard(&guarded) != 0 ||
			ftruncate(guarded.fd, 0) != 0)
		return 2;
	setrlimit(RLIMIT_MEMLOCK, &all);
	if (mlockall(MCL_FUTURE) != 0)
		return 45;
	poke(&guarded, PAGE, 1);
	if (mincore(guarded.addr, PAGES * PAGE, resident) != 0)
		return 3;
	for (int i = 0; i < PAGES; i++)
		filled += resident[i] & 1;
	return filled == 1 ? 44 : 4;
}

/* mlockall(MCL_FUTURE), as testpmd and others call it: a region of gigabytes is not filled. */
static void
replaced_memory_is_not_filled(void **state)
{
	int status = in_child(locked_process);

	(void)state;
	if (status == 45)
		unit_skip("this user may not lock memory");
	assert_int_equal(status, 44);
}

static void
so_many_and_no_more(void **state)
{
	struct sigaction before, after;
	struct victim victim;
	struct mif_guard more = { .size = 1, .page_size = PAGE };

	(void)state;
	sigaction(SIGBUS, NULL, &before);
	assert_true(victim_open(&victim, 0, PAGE));
	for (uintptr_t i = 1; i <= MIF_GUARDS_MAX; i++) {
		more.addr = (void *)(i << 12);
		assert_int_equal(mif_guard_add(&more), 0);
	}
	assert_int_equal(guard(&victim), -ENOSPC);
	mif_guard_remove((void *)(UINTPTR_MAX & (17u << 12))); /* makes room for one */
	assert_int_equal(guard(&victim), 0);
	assert_int_equal(ftruncate(victim.fd, 0), 0);
	peek(&victim, 0);
	assert_int_equal(fault_of(&victim), BROKEN);
	victim_close(&victim);
	for (uintptr_t i = 1; i <= MIF_GUARDS_MAX; i++)
		mif_guard_remove((void *)(i << 12));
	sigaction(SIGBUS, NULL, &after);
	assert_true(after.sa_sigaction == before.sa_sigaction);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(file_cut_short),
		cmocka_unit_test(huge_file_cut_short),
		cmocka_unit_test(silenced),
		cmocka_unit_test(first_fault_is_kept),
		cmocka_unit_test(errno_is_kept),
		cmocka_unit_test(threads_that_fault_together),
		cmocka_unit_test(guards_are_apart),
		cmocka_unit_test(any_number_of_pages),
		cmocka_unit_test(replaced_memory_is_not_filled),
		cmocka_unit_test(so_many_and_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

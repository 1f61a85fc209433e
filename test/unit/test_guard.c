/* SPDX-License-Identifier: BSD-3-Clause */

/* Memory that is pulled away. What kills a process is tried in a child. */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memif_guard.h"
#include "unit.h"

#define PAGES 8
#define PAGE ((uint64_t)sysconf(_SC_PAGESIZE))
#define HUGE_PAGE (UINT64_C(2) << 20)
#define MEMFD_2MB (21u << 26) /* MFD_HUGE_2MB, which glibc does not name */
#define BROKEN 77u

/** A mapping of a file that will be cut short. */
struct victim {
	int fd;
	uint64_t page_size;
	uint8_t *addr;
	uint32_t fault;
	int wake_fd;
};

static bool
victim_open(struct victim *victim, unsigned int flags, uint64_t page_size)
{
	const int access = PROT_READ | PROT_WRITE;
	uint64_t size = PAGES * page_size;

	*victim = (struct victim){ .page_size = page_size };
	victim->fd = memfd_create("unit", MFD_CLOEXEC | flags);
	if (victim->fd < 0)
		return false;
	victim->addr = MAP_FAILED;
	if (ftruncate(victim->fd, (off_t)size) == 0)
		victim->addr = mmap(NULL, size, access, MAP_SHARED, victim->fd, 0);
	if (victim->addr == MAP_FAILED) {
		close(victim->fd);
		return false;
	}
	victim->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	memset(victim->addr, 0x11, size);
	return true;
}

static void
victim_close(struct victim *victim)
{
	mif_guard_remove(victim->addr);
	munmap(victim->addr, PAGES * victim->page_size);
	close(victim->fd);
	close(victim->wake_fd);
}

static int
guard_part(struct victim *victim, uint64_t first, uint64_t pages)
{
	const struct mif_guard wanted = {
		.addr = victim->addr + first * victim->page_size,
		.size = pages * victim->page_size,
		.page_size = victim->page_size,
		.fault = &victim->fault,
		.value = BROKEN,
		.wake_fd = victim->wake_fd,
	};

	return mif_guard_add(&wanted);
}

static int
guard(struct victim *victim)
{
	return guard_part(victim, 0, PAGES);
}

/* The handler has written it, behind the compiler's back. */
static uint32_t
fault_of(const struct victim *victim)
{
	return *(const volatile uint32_t *)&victim->fault;
}

static uint64_t
woken(const struct victim *victim)
{
	uint64_t count = 0;

	return read(victim->wake_fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

/* Without ThreadSanitizer, which takes a handler's mmap() for another thread's write to the page. */
#define BY_DESIGN __attribute__((no_sanitize("thread")))

static BY_DESIGN uint8_t
peek(const struct victim *victim, uint64_t offset)
{
	return *(volatile uint8_t *)(victim->addr + offset);
}

static BY_DESIGN void
poke(struct victim *victim, uint64_t offset, uint8_t value)
{
	*(volatile uint8_t *)(victim->addr + offset) = value;
}

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

/** How a child ended that ran this: its exit status, or the signal's number negated. */
static int
in_child(int (*run)(void))
{
	const struct rlimit no_core = { 0, 0 };
	int status = -1;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		setrlimit(RLIMIT_CORE, &no_core);
		signal(SIGBUS, SIG_DFL); /* cmocka's is not of interest here */
		alarm(10);
		_exit(run());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

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
		cmocka_unit_test(faults_elsewhere_kill),
		cmocka_unit_test(faults_elsewhere_go_to_the_handler_before),
		cmocka_unit_test(removed_guard_does_not_guard),
		cmocka_unit_test(sent_signals_are_passed_on),
		cmocka_unit_test(next_guard_puts_the_handler_back),
		cmocka_unit_test(handler_goes_with_the_last_guard),
		cmocka_unit_test(any_number_of_pages),
		cmocka_unit_test(replaced_memory_is_not_filled),
		cmocka_unit_test(so_many_and_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

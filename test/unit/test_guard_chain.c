/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The guard among other handlers of SIGBUS, before and after it; huge pages that run out; and
 * guards that come and go while others fault. What may end a process is tried in a child.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memif_guard.h"
#include "unit.h"
#include "victim.h"

#define GIB (UINT64_C(1) << 30)
#define MEMFD_1GB (30u << 26) /* MFD_HUGE_1GB, which glibc does not name */

static uint32_t fault;
static int wake_fd = -1;

static BY_DESIGN uint8_t
touch(uint8_t *at)
{
	return *(volatile uint8_t *)at;
}

/* A mapping of a file that has no page: every access is a fault. */
static uint8_t *
map_empty_file(uint64_t pages)
{
	int fd = memfd_create("unit", MFD_CLOEXEC);
	uint8_t *addr;

	if (fd < 0 || ftruncate(fd, 0) != 0)
		return NULL;
	addr = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return addr == MAP_FAILED ? NULL : addr;
}

static int
guard_memory(uint8_t *addr, uint64_t size, uint64_t page_size)
{
	const struct mif_guard wanted = {
		.addr = addr,
		.size = size,
		.page_size = page_size,
		.fault = &fault,
		.value = BROKEN,
		.wake_fd = wake_fd,
	};

	return mif_guard_add(&wanted);
}

static uint32_t
take_fault(void)
{
	return __atomic_exchange_n(&fault, 0, __ATOMIC_RELAXED);
}

/** Other users of the signal: one that was there before us, and one that came after. */
static sigjmp_buf jump;
static struct sigaction below; /* what the later one found */
static volatile sig_atomic_t calls;

static void
leave_with_42(int number, siginfo_t *info, void *context)
{
	(void)context;
	_exit(number == SIGBUS && info->si_addr != NULL ? 42 : 2);
}

static void
jump_out(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	(void)context;
	calls++;
	siglongjmp(jump, 1);
}

static void
pass_down(int number, siginfo_t *info, void *context)
{
	calls++;
	below.sa_sigaction(number, info, context);
}

static void
install(void (*handler)(int, siginfo_t *, void *), struct sigaction *old)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };

	sigaction(SIGBUS, &action, old);
}

/* A handler that is put over ours, and hands on what is not its own, as it should. */

static int
guarded_below_another(void)
{
	uint8_t *addr = map_empty_file(1);

	if (addr == NULL || guard_memory(addr, PAGE, PAGE) != 0)
		return 2;
	install(pass_down, &below);
	touch(addr);
	return take_fault() == BROKEN && calls == 1 ? 44 : 3;
}

static int
stranger_below_another(void)
{
	uint8_t *addr = map_empty_file(1), *strange = map_empty_file(1);

	install(leave_with_42, NULL);
	if (addr == NULL || strange == NULL || guard_memory(addr, PAGE, PAGE) != 0)
		return 2;
	install(pass_down, &below);
	touch(strange);
	return 3;
}

static void
handler_over_ours_hands_on(void **state)
{
	(void)state;
	assert_int_equal(in_child(guarded_below_another), 44);
	assert_int_equal(in_child(stranger_below_another), 42);
}

/* The next guard goes on top again: now ours calls theirs, which calls ours. */

static int
guarded_in_a_circle(void)
{
	uint8_t *first = map_empty_file(1), *second = map_empty_file(1);

	if (first == NULL || second == NULL || guard_memory(first, PAGE, PAGE) != 0)
		return 2;
	install(pass_down, &below);
	if (guard_memory(second, PAGE, PAGE) != 0)
		return 3;
	touch(first);
	if (take_fault() != BROKEN)
		return 4;
	touch(second);
	return take_fault() == BROKEN ? 44 : 5;
}

static int
stranger_in_a_circle(void)
{
	uint8_t *first = map_empty_file(1), *second = map_empty_file(1);
	uint8_t *strange = map_empty_file(1);

	install(leave_with_42, NULL);
	if (strange == NULL || guard_memory(first, PAGE, PAGE) != 0)
		return 2;
	install(pass_down, &below);
	if (guard_memory(second, PAGE, PAGE) != 0)
		return 3;
	touch(strange);
	return 4;
}

static int
stranger_in_a_circle_by_default(void)
{
	uint8_t *first = map_empty_file(1), *second = map_empty_file(1);
	uint8_t *strange = map_empty_file(1);

	if (strange == NULL || guard_memory(first, PAGE, PAGE) != 0)
		return 2;
	install(pass_down, &below);
	if (guard_memory(second, PAGE, PAGE) != 0)
		return 3;
	touch(strange);
	return 4;
}

static void
handler_between_ours_and_the_first(void **state)
{
	(void)state;
	assert_int_equal(in_child(guarded_in_a_circle), 44);
	assert_int_equal(in_child(stranger_in_a_circle), 42);
	assert_int_equal(in_child(stranger_in_a_circle_by_default), -SIGBUS);
}

/* A handler that leaves by siglongjmp(), as programs do that read files they do not trust. */
static __attribute__((noinline)) void
touch_and_come_back(uint8_t *at)
{
	if (sigsetjmp(jump, 1) == 0)
		touch(at);
}

static int
strangers_jumped_over(void)
{
	uint8_t *addr = map_empty_file(1), *strange = map_empty_file(1);

	install(jump_out, NULL);
	if (strange == NULL || guard_memory(addr, PAGE, PAGE) != 0)
		return 2;
	for (int i = 0; i < 3; i++)
		touch_and_come_back(strange);
	if (calls != 3)
		return 3;
	touch(addr);
	return take_fault() == BROKEN ? 44 : 4;
}

static void
handler_before_ours_may_jump_out(void **state)
{
	(void)state;
	assert_int_equal(in_child(strangers_jumped_over), 44);
}

/* After the last guard the handler over ours is left alone, and still works. */
static int
another_stays_after_the_last(void)
{
	uint8_t *addr = map_empty_file(1), *strange = map_empty_file(1);
	struct sigaction present;

	install(leave_with_42, NULL);
	if (strange == NULL || guard_memory(addr, PAGE, PAGE) != 0)
		return 2;
	install(pass_down, &below);
	mif_guard_remove(addr);
	if (sigaction(SIGBUS, NULL, &present) != 0 || present.sa_sigaction != pass_down)
		return 3;
	touch(strange);
	return 4;
}

static void
handler_over_ours_stays(void **state)
{
	(void)state;
	assert_int_equal(in_child(another_stays_after_the_last), 42);
}

/* A file of huge pages of which there are none: what a peer does by taking all of them, or by
 * punching holes when others have taken them. The size of 1 GiB costs no test beside us anything. */
static void
huge_pages_run_out(void **state)
{
	struct unit_holdings before = unit_holdings();
	int fd = memfd_create("unit", MFD_CLOEXEC | MFD_HUGETLB | MEMFD_1GB);
	uint8_t *addr = MAP_FAILED;

	(void)state;
	if (fd >= 0 && ftruncate(fd, GIB) == 0)
		addr = mmap(NULL, GIB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (fd >= 0)
		close(fd);
	if (addr == MAP_FAILED)
		unit_skip("no huge pages of 1 GiB in this kernel");
	assert_int_equal(guard_memory(addr, GIB, GIB), 0);
	assert_int_equal(touch(addr + GIB / 2), 0);
	if (take_fault() != BROKEN) {
		mif_guard_remove(addr);
		munmap(addr, GIB);
		unit_skip("there are huge pages of 1 GiB to be had");
	}
	assert_int_equal(touch(addr), 0);
	assert_int_equal(touch(addr + GIB - 1), 0);
	mif_guard_remove(addr);
	munmap(addr, GIB);
	assert_holdings(before);
}

/* One thread faults in its guarded memory again and again, while other guards come and go. */

#define OTHERS 300
#define ROUNDS 20000

static uint8_t *empty;
static int empty_fd;
static atomic_bool stop;
static atomic_uint survived;

static void *
fault_again_and_again(void *arg)
{
	const int access = PROT_READ | PROT_WRITE;

	while (!atomic_load(&stop)) {
		touch(empty);
		atomic_fetch_add(&survived, take_fault() == BROKEN);
		/* Put the missing page back. */
		if (mmap(empty, PAGE, access, MAP_SHARED | MAP_FIXED, empty_fd, 0) == MAP_FAILED)
			break;
	}
	return arg;
}

static void *
other(uintptr_t round)
{
	return (void *)((1 + round % OTHERS) << 12);
}

static void
guards_come_and_go(void **state)
{
	struct sigaction before, after;
	struct mif_guard guard_of_other = { .size = 4096, .page_size = 4096 };
	pthread_t thread;

	(void)state;
	sigaction(SIGBUS, NULL, &before);
	empty_fd = memfd_create("unit", MFD_CLOEXEC);
	empty = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, empty_fd, 0);
	assert_true(empty != MAP_FAILED);
	assert_int_equal(guard_memory(empty, PAGE, PAGE), 0);
	assert_int_equal(pthread_create(&thread, NULL, fault_again_and_again, NULL), 0);
	for (uintptr_t i = 0; i < ROUNDS; i++) {
		guard_of_other.addr = other(i);
		assert_int_equal(mif_guard_add(&guard_of_other), 0);
		if (i >= OTHERS / 2)
			mif_guard_remove(other(i - OTHERS / 2));
	}
	for (uintptr_t i = ROUNDS - OTHERS / 2; i < ROUNDS; i++)
		mif_guard_remove(other(i));
	while (atomic_load(&survived) < 100)
		usleep(1000);
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	mif_guard_remove(empty);
	munmap(empty, PAGE);
	close(empty_fd);
	sigaction(SIGBUS, NULL, &after);
	assert_true(after.sa_sigaction == before.sa_sigaction);
}

static int
make_wake_fd(void **state)
{
	(void)state;
	wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return wake_fd < 0;
}

static int
close_wake_fd(void **state)
{
	(void)state;
	return close(wake_fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(handler_over_ours_hands_on),
		cmocka_unit_test(handler_between_ours_and_the_first),
		cmocka_unit_test(handler_before_ours_may_jump_out),
		cmocka_unit_test(handler_over_ours_stays),
		cmocka_unit_test(huge_pages_run_out),
		cmocka_unit_test(guards_come_and_go),
	};

	return cmocka_run_group_tests(tests, make_wake_fd, close_wake_fd);
}

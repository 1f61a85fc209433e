/* SPDX-License-Identifier: BSD-3-Clause */

/* Linked with -Wl,--wrap=syscall, so that a test can let io_setup(2) fail. */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "memif_notify.h"
#include "unit.h"

static bool no_io_setup;

long __real_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);

long
__wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
	if (no_io_setup && number == __NR_io_setup) {
		errno = EAGAIN;
		return -1;
	}
	return __real_syscall(number, a, b, c, d, e, f);
}

static struct mif_notifier notifier;

static int
open_notifier(void **state)
{
	(void)state;
	return mif_notifier_open(&notifier);
}

static int
close_notifier(void **state)
{
	(void)state;
	mif_notifier_close(&notifier);
	return 0;
}

static uint64_t
taken(int event)
{
	uint64_t value = 0;

	return read(event, &value, sizeof(value)) == sizeof(value) ? value : 0;
}

static int
new_event(void)
{
	int event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	assert_true(event >= 0);
	return event;
}

static void
adds_one_to_the_counter(void **state)
{
	int event = new_event();

	(void)state;
	for (unsigned int most = 1; most <= 1000; most *= 10) {
		for (unsigned int i = 0; i < most; i++)
			assert_int_equal(mif_notify(&notifier, event), 0);
		assert_int_equal(taken(event), most);
		assert_int_equal(taken(event), 0);
	}
	close(event);
}

static void
wakes_the_right_one(void **state)
{
	int one = new_event(), two = new_event();

	(void)state;
	assert_int_equal(mif_notify(&notifier, one), 0);
	assert_int_equal(mif_notify(&notifier, two), 0);
	assert_int_equal(mif_notify(&notifier, two), 0);
	assert_int_equal(taken(one), 1);
	assert_int_equal(taken(two), 2);
	close(one);
	close(two);
}

/* The completions have to be taken back, or the kernel's queue of them is full after 256. */
static void
thousands_do_not_exhaust_it(void **state)
{
	int event = new_event();

	(void)state;
	for (unsigned int i = 0; i < 50000; i++)
		assert_int_equal(mif_notify(&notifier, event), 0);
	assert_int_equal(taken(event), 50000);
	close(event);
}

/* epoll with EPOLLET is how sleeping receivers wait: each notification is an edge. */
static void
each_is_an_edge_for_epoll(void **state)
{
	struct epoll_event wanted = { .events = EPOLLIN | EPOLLET }, got;
	int event = new_event();
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	(void)state;
	assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, event, &wanted), 0);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(epoll_wait(epoll, &got, 1, 0), 0);
		assert_int_equal(mif_notify(&notifier, event), 0);
		assert_int_equal(epoll_wait(epoll, &got, 1, 0), 1);
	}
	close(event);
	close(epoll);
}

static void *
wait_for_event(void *argument)
{
	struct pollfd fd = { .fd = *(int *)argument, .events = POLLIN };

	return poll(&fd, 1, 10000) == 1 ? argument : NULL;
}

static void
wakes_a_thread_that_sleeps(void **state)
{
	int event = new_event();
	void *result = NULL;
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, wait_for_event, &event), 0);
	usleep(1000);
	assert_int_equal(mif_notify(&notifier, event), 0);
	pthread_join(thread, &result);
	assert_ptr_equal(result, &event);
	close(event);
}

/* What a hostile peer can do to an eventfd that it shares with us. */
static void
full_and_blocking_eventfd_does_not_block(void **state)
{
	const uint64_t most = UINT64_MAX - 1;
	int event = eventfd(0, EFD_CLOEXEC); /* O_NONBLOCK is clear */
	struct pollfd fd = { .fd = event, .events = POLLOUT };

	(void)state;
	assert_int_equal(write(event, &most, sizeof(most)), sizeof(most));
	assert_int_equal(poll(&fd, 1, 0), 0); /* write(2) would sleep */
	alarm(10);
	for (unsigned int i = 0; i < 5000; i++)
		mif_notify(&notifier, event);
	alarm(0);
	close(event);

	/* Others are woken as before. */
	event = new_event();
	assert_int_equal(mif_notify(&notifier, event), 0);
	assert_int_equal(taken(event), 1);
	close(event);
}

static void
what_is_no_eventfd_is_refused(void **state)
{
	int files[] = { memfd_create("unit", MFD_CLOEXEC), socket(AF_UNIX, SOCK_DGRAM, 0),
		epoll_create1(0), open("/dev/null", O_RDWR | O_CLOEXEC), -1, 1000000 };
	int event = new_event();

	(void)state;
	/* More often than completions have room: a failure must not use any up. */
	for (size_t i = 0; i < COUNT_OF(files); i++)
		for (int round = 0; round < 1000; round++)
			assert_true(mif_notify(&notifier, files[i]) < 0);
	for (size_t i = 0; i < 4; i++)
		close(files[i]);
	assert_int_equal(mif_notify(&notifier, event), 0);
	assert_int_equal(taken(event), 1);
	close(event);
	assert_int_equal(mif_notify(&notifier, event), -EBADF);
}

#define THREADS 4
#define PER_THREAD 10000

static void *
notify_often(void *argument)
{
	uintptr_t failed = 0;

	for (int i = 0; i < PER_THREAD; i++)
		failed += mif_notify(&notifier, *(int *)argument) != 0;
	return (void *)failed;
}

static void
threads_share_it(void **state)
{
	int event = new_event();
	pthread_t threads[THREADS];
	uintptr_t failures = 0;

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, notify_often, &event), 0);
	for (int i = 0; i < THREADS; i++) {
		void *failed = NULL;

		pthread_join(threads[i], &failed);
		failures += (uintptr_t)failed;
	}
	assert_int_equal(failures, 0);
	assert_int_equal(taken(event), THREADS * PER_THREAD);
	close(event);
}

static void
opening_and_closing_leaves_nothing(void **state)
{
	struct unit_holdings before = unit_holdings();
	struct mif_notifier local;
	int event;

	(void)state;
	for (int i = 0; i < 20; i++) {
		assert_int_equal(mif_notifier_open(&local), 0);
		event = new_event();
		assert_int_equal(mif_notify(&local, event), 0);
		assert_int_equal(taken(event), 1);
		close(event);
		mif_notifier_close(&local);
		assert_holdings(before);
	}
	mif_notifier_close(&local);
	assert_holdings(before);
	assert_int_equal(mif_notify(&local, 0), -ENOSYS);
}

/* Others use up fs.aio-max-nr: the port works, and only cannot wake its peer. */
static void
without_aio_it_wakes_nobody(void **state)
{
	struct unit_holdings before = unit_holdings();
	struct mif_notifier local;
	int event = new_event();

	(void)state;
	no_io_setup = true;
	assert_int_equal(mif_notifier_open(&local), -EAGAIN);
	no_io_setup = false;
	assert_int_equal(mif_notify(&local, event), -ENOSYS);
	assert_int_equal(taken(event), 0);
	mif_notifier_close(&local);
	close(event);
	assert_holdings(before);
}

static void
eventfds_are_recognised(void **state)
{
	static const int flags[] = { 0, EFD_NONBLOCK, EFD_CLOEXEC, EFD_SEMAPHORE,
		EFD_NONBLOCK | EFD_CLOEXEC | EFD_SEMAPHORE };
	int fd, copy;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(flags); i++) {
		fd = eventfd(7, flags[i]);
		copy = dup(fd);
		assert_true(mif_is_eventfd(fd));
		assert_true(mif_is_eventfd(copy));
		close(fd);
		assert_false(mif_is_eventfd(fd));
		assert_true(mif_is_eventfd(copy));
		close(copy);
	}
}

static void
is_no_eventfd(int fd)
{
	assert_true(fd >= 0);
	assert_false(mif_is_eventfd(fd));
	close(fd);
}

static void
other_files_are_not_eventfds(void **state)
{
	static const int closed[] = { -1, INT_MIN, INT_MAX, 1000000 };
	char path[] = "/tmp/mif-unit-XXXXXX";
	char file[64];
	sigset_t signals;
	int pipes[2];

	(void)state;
	sigemptyset(&signals);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	is_no_eventfd(pipes[0]);
	is_no_eventfd(pipes[1]);
	is_no_eventfd(memfd_create("anon_inode:[eventfd]", MFD_CLOEXEC));
	is_no_eventfd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
	is_no_eventfd(epoll_create1(EPOLL_CLOEXEC));
	is_no_eventfd(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
	is_no_eventfd(signalfd(-1, &signals, SFD_CLOEXEC));
	is_no_eventfd(open("/dev/zero", O_RDWR | O_CLOEXEC));
	is_no_eventfd(open("/", O_RDONLY | O_CLOEXEC));
	for (size_t i = 0; i < COUNT_OF(closed); i++)
		assert_false(mif_is_eventfd(closed[i]));

	/* A file with the eventfd's own name, and one with a longer one. */
	assert_non_null(mkdtemp(path));
	snprintf(file, sizeof(file), "%s/anon_inode:[eventfd]", path);
	is_no_eventfd(open(file, O_CREAT | O_RDWR | O_CLOEXEC, 0600));
	unlink(file);
	rmdir(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adds_one_to_the_counter),
		cmocka_unit_test(wakes_the_right_one),
		cmocka_unit_test(thousands_do_not_exhaust_it),
		cmocka_unit_test(each_is_an_edge_for_epoll),
		cmocka_unit_test(wakes_a_thread_that_sleeps),
		cmocka_unit_test(full_and_blocking_eventfd_does_not_block),
		cmocka_unit_test(what_is_no_eventfd_is_refused),
		cmocka_unit_test(threads_share_it),
		cmocka_unit_test(opening_and_closing_leaves_nothing),
		cmocka_unit_test(without_aio_it_wakes_nobody),
		cmocka_unit_test(eventfds_are_recognised),
		cmocka_unit_test(other_files_are_not_eventfds),
	};

	return cmocka_run_group_tests(tests, open_notifier, close_notifier);
}

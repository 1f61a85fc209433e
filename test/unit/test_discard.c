/* SPDX-License-Identifier: BSD-3-Clause */

/* Files that take their time to close, and must not take ours. */

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "memif_discard.h"
#include "unit.h"

#define LINGER_S 20
#define SOON_S 10
#define MANY (MIF_DISCARD_THREADS + 8)

/* What is sent to `other` is never read, so closing `fd` waits for LINGER_S seconds. */
struct lingering {
	int fd;
	int other;
};

static int
connect_to(int listener)
{
	struct sockaddr_in addr;
	socklen_t size = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&addr, &size), 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&addr, size), 0);
	return fd;
}

static struct lingering
make_lingering(void)
{
	struct sockaddr_in any = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	const struct linger linger = { .l_onoff = 1, .l_linger = LINGER_S };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	static uint8_t bytes[65536];
	struct lingering made;

	assert_true(listener >= 0);
	assert_int_equal(bind(listener, (const struct sockaddr *)&any, sizeof(any)), 0);
	assert_int_equal(listen(listener, 1), 0);
	made.fd = connect_to(listener);
	made.other = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(made.other >= 0);
	close(listener);
	while (send(made.fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
	assert_int_equal(setsockopt(made.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	return made;
}

static time_t
seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static void
lingering_socket_is_not_waited_for(void **state)
{
	struct unit_holdings before = unit_holdings();
	struct lingering made = make_lingering();
	time_t begin = seconds_now();

	(void)state;
	mif_discard_fd(made.fd);
	assert_in_range(seconds_now() - begin, 0, SOON_S);
	assert_false(mif_discard_idle());
	close(made.other); /* nobody is left to linger for */
	assert_int_equal(unit_holdings().fds, before.fds);
}

/* More than there are threads: the rest stays open until one of them is free again. */
static void
many_that_linger(void **state)
{
	struct unit_holdings before = unit_holdings();
	struct lingering made[MANY];
	time_t begin = seconds_now();

	(void)state;
	for (int i = 0; i < MANY; i++) {
		made[i] = make_lingering();
		mif_discard_fd(made[i].fd);
	}
	assert_in_range(seconds_now() - begin, 0, SOON_S);
	for (int i = 0; i < MANY; i++)
		close(made[i].other);
	assert_int_equal(unit_holdings().fds, before.fds);
}

static void
others_are_closed_at_once(void **state)
{
	const int fds[] = {
		memfd_create("unit", MFD_CLOEXEC),
		memfd_create("unit", MFD_CLOEXEC | MFD_ALLOW_SEALING),
		eventfd(0, EFD_CLOEXEC),
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(fds); i++) {
		assert_true(fds[i] >= 0);
		mif_discard_fd(fds[i]);
		assert_true(mif_discard_idle());
		assert_int_equal(fcntl(fds[i], F_GETFD), -1);
	}
	mif_discard_fd(-1);
	assert_true(mif_discard_idle());
}

static void
any_file_is_closed(void **state)
{
	struct unit_holdings before = unit_holdings();
	int pipes[2];

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	mif_discard_fd(pipes[0]);
	mif_discard_fd(pipes[1]);
	mif_discard_fd(open("/dev/null", O_RDWR | O_CLOEXEC));
	mif_discard_fd(open("/", O_RDONLY | O_CLOEXEC));
	assert_int_equal(unit_holdings().fds, before.fds);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(others_are_closed_at_once),
		cmocka_unit_test(any_file_is_closed),
		cmocka_unit_test(lingering_socket_is_not_waited_for),
		cmocka_unit_test(many_that_linger),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

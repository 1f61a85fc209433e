/* SPDX-License-Identifier: BSD-3-Clause */

/* The socket file: what may be replaced, and who removes it. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "memif_sock.h"
#include "sock_place.h"
#include "unit.h"

static void
listen_and_close(void)
{
	struct mif_sock_listener listener;
	int fd;

	assert_int_equal(mif_sock_listen(&listener, &place, &place_plain), 0);
	fd = mif_sock_connect(&place);
	assert_true(fd >= 0);
	close(fd);
	mif_sock_unlisten(&listener, &place);
	assert_false(place_exists());
}

static void
stale_file_is_replaced(void **state)
{
	static const int types[] = { SOCK_SEQPACKET, SOCK_STREAM, SOCK_DGRAM };
	struct unit_holdings before = unit_holdings();

	(void)state;
	for (size_t i = 0; i < COUNT_OF(types); i++) {
		place_leave_stale(types[i]);
		listen_and_close();
		assert_holdings(before);
	}
}

/* The server whose place it is does not suffer from the attempt. */
static void
live_server_is_left_alone(void **state)
{
	struct unit_holdings before = unit_holdings();
	struct mif_sock_listener live, other;
	ino_t ino;
	int fd;

	(void)state;
	assert_int_equal(mif_sock_listen(&live, &place, &place_plain), 0);
	ino = place_inode();
	for (int i = 0; i < 10; i++)
		assert_int_equal(mif_sock_listen(&other, &place, &place_plain), -EADDRINUSE);
	assert_true(place_inode() == ino);
	fd = mif_sock_connect(&place);
	assert_true(fd >= 0);
	close(fd);
	mif_sock_unlisten(&live, &place);
	assert_holdings(before);
}

static void
live_server_with_a_full_queue_is_left_alone(void **state)
{
	struct unit_holdings before = unit_holdings();
	struct mif_sock_listener other;
	int live = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	int clients[8], count = 0;

	(void)state;
	assert_int_equal(bind(live, (struct sockaddr *)&place.un, place.length), 0);
	assert_int_equal(listen(live, 0), 0);
	while ((clients[count] = mif_sock_connect(&place)) >= 0)
		assert_in_range(++count, 1, 7);
	alarm(10);
	assert_int_equal(mif_sock_listen(&other, &place, &place_plain), -EADDRINUSE);
	alarm(0);
	assert_true(place_exists());
	while (count > 0)
		close(clients[--count]);
	close(live);
	unlink(place.un.sun_path);
	assert_holdings(before);
}

static void
servers_of_other_types_are_left_alone(void **state)
{
	static const int types[] = { SOCK_STREAM, SOCK_DGRAM };
	struct unit_holdings before = unit_holdings();
	struct mif_sock_listener other;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(types); i++) {
		int live = socket(AF_UNIX, types[i] | SOCK_CLOEXEC, 0);

		assert_int_equal(bind(live, (struct sockaddr *)&place.un, place.length), 0);
		if (types[i] == SOCK_STREAM)
			assert_int_equal(listen(live, 1), 0);
		assert_int_equal(mif_sock_listen(&other, &place, &place_plain), -EADDRINUSE);
		assert_true(place_exists());
		close(live);
		unlink(place.un.sun_path);
		assert_holdings(before);
	}
}

static void
refused_and_left_alone(int wanted)
{
	struct unit_holdings before = unit_holdings();
	struct mif_sock_listener listener;
	ino_t ino = place_inode();

	assert_int_equal(mif_sock_listen(&listener, &place, &place_plain), wanted);
	assert_int_equal(listener.fd, -1);
	assert_true(place_inode() == ino);
	assert_holdings(before);
}

static void
what_is_no_socket_is_left_alone(void **state)
{
	char content[6] = "";
	int fd;

	(void)state;
	fd = open(place.un.sun_path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "mine", 5), 5);
	refused_and_left_alone(-EEXIST);
	assert_int_equal(pread(fd, content, sizeof(content), 0), 5);
	assert_string_equal(content, "mine");
	close(fd);
	unlink(place.un.sun_path);

	assert_int_equal(mkdir(place.un.sun_path, 0700), 0);
	refused_and_left_alone(-EEXIST);
	rmdir(place.un.sun_path);

	assert_int_equal(mkfifo(place.un.sun_path, 0600), 0);
	refused_and_left_alone(-EEXIST);
	unlink(place.un.sun_path);

	assert_int_equal(symlink("/nowhere/at/all", place.un.sun_path), 0);
	refused_and_left_alone(-EEXIST);
	unlink(place.un.sun_path);
}

/* Not even a link to a stale socket: what it points to is somebody else's. */
static void
link_to_a_stale_socket_is_left_alone(void **state)
{
	char other[128];

	(void)state;
	snprintf(other, sizeof(other), "%s/other", place_folder);
	place_leave_stale(SOCK_SEQPACKET);
	assert_int_equal(rename(place.un.sun_path, other), 0);
	assert_int_equal(symlink(other, place.un.sun_path), 0);
	refused_and_left_alone(-EEXIST);
	unlink(place.un.sun_path);
	assert_int_equal(unlink(other), 0);
}

static void
folder_that_is_not_there(void **state)
{
	struct unit_holdings before = unit_holdings();
	struct mif_sock_listener listener;
	struct mif_sockaddr wrong;

	(void)state;
	assert_int_equal(mif_sockaddr_init(&wrong, "/nowhere/at/all/sock", false), 0);
	assert_int_equal(mif_sock_listen(&listener, &wrong, &place_plain), -ENOENT);
	assert_int_equal(mif_sockaddr_init(&wrong, "/dev/null/sock", false), 0);
	assert_int_equal(mif_sock_listen(&listener, &wrong, &place_plain), -ENOTDIR);
	assert_holdings(before);
}

static void
only_the_own_file_is_removed(void **state)
{
	struct unit_holdings before = unit_holdings();
	struct mif_sock_listener first, second;
	struct mif_sockaddr abstract;
	ino_t ino;

	(void)state;
	assert_int_equal(mif_sock_listen(&first, &place, &place_plain), 0);
	unlink(place.un.sun_path); /* somebody has cleaned up, and another server has come */
	assert_int_equal(mif_sock_listen(&second, &place, &place_plain), 0);
	ino = place_inode();
	mif_sock_unlisten(&first, &place);
	assert_true(place_inode() == ino);
	mif_sock_unlisten(&first, &place);
	assert_true(place_inode() == ino);
	mif_sock_unlisten(&second, &place);
	assert_false(place_exists());

	assert_int_equal(mif_sock_listen(&first, &place, &place_plain), 0);
	unlink(place.un.sun_path);
	mif_sock_unlisten(&first, &place);

	/* A file that has the abstract name has nothing to do with it. */
	assert_int_equal(mif_sockaddr_init(&abstract, place.text, true), 0);
	assert_int_equal(mif_sock_listen(&first, &abstract, &place_plain), 0);
	assert_false(place_exists());
	close(open(place.un.sun_path, O_CREAT | O_RDWR | O_CLOEXEC, 0600));
	mif_sock_unlisten(&first, &abstract);
	assert_true(place_exists());
	unlink(place.un.sun_path);
	assert_holdings(before);
}

/*
 * Somebody holds the folder's lock and does not let go: that keeps nobody from a free path, but a
 * stale file cannot be told from a live one then. No wait of any length.
 */
static void
locked_folder(void **state)
{
	struct unit_holdings before = unit_holdings();
	struct mif_sock_listener listener;
	int lock = open(place_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_int_equal(flock(lock, LOCK_EX), 0);
	alarm(5);
	assert_int_equal(mif_sock_listen(&listener, &place, &place_plain), 0);
	close(listener.fd);
	assert_int_equal(mif_sock_listen(&listener, &place, &place_plain), -EBUSY);
	alarm(0);
	assert_int_equal(listener.fd, -1);
	assert_true(place_exists());
	close(lock);
	assert_holdings(before);
	listen_and_close();
}

static struct mif_sock_listener rival;
static int rival_result;

static int
a_rival_listens(void)
{
	rival_result = mif_sock_listen(&rival, &place, &place_plain);
	return 0;
}

/* Another one comes when our file is there, but nobody listens on it yet: is that file stale? */
static void
rival_between_bind_and_listen(bool stale)
{
	struct unit_holdings before = unit_holdings();
	struct mif_sock_listener listener;
	int result, fd;

	if (stale)
		place_leave_stale(SOCK_SEQPACKET);
	place_before_listen = a_rival_listens;
	result = mif_sock_listen(&listener, &place, &place_plain);
	if (result != 0 || rival_result == 0)
		print_message("# first: %d, rival: %d\n", result, rival_result);
	fd = mif_sock_connect(&place);
	if (fd >= 0)
		close(fd);
	mif_sock_unlisten(&listener, &place);
	mif_sock_unlisten(&rival, &place);
	unlink(place.un.sun_path);
	assert_holdings(before);
	assert_true(fd >= 0);
	assert_true((result == 0) != (rival_result == 0));
}

static void
one_of_two_wins_a_new_file(void **state)
{
	(void)state;
	rival_between_bind_and_listen(false);
}

static void
one_of_two_wins_a_stale_file(void **state)
{
	(void)state;
	rival_between_bind_and_listen(true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stale_file_is_replaced),
		cmocka_unit_test(live_server_is_left_alone),
		cmocka_unit_test(live_server_with_a_full_queue_is_left_alone),
		cmocka_unit_test(servers_of_other_types_are_left_alone),
		cmocka_unit_test(what_is_no_socket_is_left_alone),
		cmocka_unit_test(link_to_a_stale_socket_is_left_alone),
		cmocka_unit_test(folder_that_is_not_there),
		cmocka_unit_test(only_the_own_file_is_removed),
		cmocka_unit_test(locked_folder),
		cmocka_unit_test(one_of_two_wins_a_new_file),
		cmocka_unit_test(one_of_two_wins_a_stale_file),
	};

	return cmocka_run_group_tests(tests, place_make, place_remove);
}

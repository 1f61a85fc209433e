/* SPDX-License-Identifier: BSD-3-Clause */

/* The socket file: who may open it, and that nothing stays when that cannot be had. */

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memif_sock.h"
#include "sock_place.h"
#include "unit.h"

static struct stat
listen_with(const struct mif_sock_access *access)
{
	struct mif_sock_listener listener;
	struct stat status;

	assert_int_equal(mif_sock_listen(&listener, &place, access), 0);
	assert_int_equal(lstat(place.un.sun_path, &status), 0);
	assert_true(S_ISSOCK(status.st_mode));
	mif_sock_unlisten(&listener, &place);
	return status;
}

static void
mode_is_what_was_asked_for(void **state)
{
	static const mode_t modes[] = { 0600, 0660, 0666, 0777, 0700, 0222, 0 };
	static const mode_t masks[] = { 0, 022, 077, 0777 };
	mode_t old = umask(0);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(modes); i++) {
		for (size_t j = 0; j < COUNT_OF(masks); j++) {
			struct mif_sock_access access = place_plain;
			struct stat status;

			access.mode = modes[i];
			umask(masks[j]);
			status = listen_with(&access);
			assert_int_equal(status.st_mode & 07777, modes[i]);
		}
	}
	umask(old);
}

static void
mode_is_by_umask_when_none_was_asked_for(void **state)
{
	static const mode_t masks[] = { 0, 022, 027, 077 };
	mode_t old = umask(0);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(masks); i++) {
		umask(masks[i]);
		assert_int_equal(listen_with(&place_plain).st_mode & 0777, 0777 & ~masks[i]);
	}
	umask(old);
}

static void
owner_is_who_was_asked_for(void **state)
{
	struct mif_sock_access access = { 12345, (gid_t)-1, (mode_t)-1 };
	struct stat status;

	(void)state;
	if (geteuid() != 0)
		unit_skip("only root can give a file away");
	status = listen_with(&access);
	assert_int_equal(status.st_uid, 12345);
	assert_int_equal(status.st_gid, getegid());
	access = (struct mif_sock_access){ (uid_t)-1, 54321, 0600 };
	status = listen_with(&access);
	assert_int_equal(status.st_uid, geteuid());
	assert_int_equal(status.st_gid, 54321);
	assert_int_equal(status.st_mode & 07777, 0600);
	access = (struct mif_sock_access){ 12345, 54321, 0660 };
	status = listen_with(&access);
	assert_int_equal(status.st_uid, 12345);
	assert_int_equal(status.st_gid, 54321);
	assert_int_equal(status.st_mode & 07777, 0660);
}

static struct stat seen_before_listen;
static int connected_before_listen;

static int
look(void)
{
	lstat(place.un.sun_path, &seen_before_listen);
	connected_before_listen = mif_sock_connect(&place);
	return 0;
}

static void
nobody_connects_before_mode_and_owner_are_set(void **state)
{
	struct mif_sock_access access = { (uid_t)-1, (gid_t)-1, 0640 };

	(void)state;
	if (geteuid() == 0)
		access.uid = 12345;
	place_before_listen = look;
	listen_with(&access);
	assert_null(place_before_listen);
	assert_int_equal(connected_before_listen, -ECONNREFUSED);
	assert_int_equal(seen_before_listen.st_mode & 07777, 0640);
	if (geteuid() == 0)
		assert_int_equal(seen_before_listen.st_uid, 12345);
}

static int
no_listen(void)
{
	errno = ENOBUFS;
	return -1;
}

static void
failed_listen_leaves_nothing_behind(void **state)
{
	struct unit_holdings before = unit_holdings();
	struct mif_sock_listener listener;

	(void)state;
	place_before_listen = no_listen;
	assert_int_equal(mif_sock_listen(&listener, &place, &place_plain), -ENOBUFS);
	assert_int_equal(listener.fd, -1);
	assert_false(place_exists());
	assert_holdings(before);
}

/* How a child ended that became nobody and ran this; 0 is good. */
static int
as_nobody(int (*run)(void))
{
	int status = -1;
	pid_t child;

	if (geteuid() != 0)
		unit_skip("needs root, to become somebody else");
	child = fork();
	if (child == 0)
		_exit(setgid(65534) == 0 && setuid(65534) == 0 ? run() : 99);
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

/* It can make the file, but not give it away. */
static int
give_to_root(void)
{
	const struct mif_sock_access to_root = { 0, (gid_t)-1, 0600 };
	struct mif_sock_listener listener;
	unsigned int fds;

	fds = unit_holdings().fds;
	if (mif_sock_listen(&listener, &place, &to_root) != -EPERM)
		return 2;
	if (place_exists())
		return 3;
	return unit_holdings().fds == fds ? 0 : 4;
}

static void
owner_that_cannot_be_set_leaves_nothing_behind(void **state)
{
	(void)state;
	assert_int_equal(chmod(place_folder, 0777), 0);
	assert_int_equal(as_nobody(give_to_root), 0);
	assert_int_equal(chmod(place_folder, 0700), 0);
}

static int
listen_twice(void)
{
	struct mif_sock_listener listener;

	for (int i = 1; i <= 2; i++) {
		if (mif_sock_listen(&listener, &place, &place_plain) != 0)
			return i;
		mif_sock_unlisten(&listener, &place);
	}
	return place_exists() ? 3 : 0;
}

/* It cannot be locked, either. */
static void
folder_that_can_be_written_but_not_read(void **state)
{
	(void)state;
	assert_int_equal(chmod(place_folder, 0333), 0);
	assert_int_equal(as_nobody(listen_twice), 0);
	assert_int_equal(chmod(place_folder, 0700), 0);
}

static int
listen_in_vain(void)
{
	struct mif_sock_listener listener;

	return mif_sock_listen(&listener, &place, &place_plain) == -EACCES ? 0 : 1;
}

static void
folder_that_cannot_be_written(void **state)
{
	(void)state;
	assert_int_equal(chmod(place_folder, 0755), 0);
	assert_int_equal(as_nobody(listen_in_vain), 0);
	assert_int_equal(chmod(place_folder, 0700), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mode_is_what_was_asked_for),
		cmocka_unit_test(mode_is_by_umask_when_none_was_asked_for),
		cmocka_unit_test(owner_is_who_was_asked_for),
		cmocka_unit_test(nobody_connects_before_mode_and_owner_are_set),
		cmocka_unit_test(failed_listen_leaves_nothing_behind),
		cmocka_unit_test(owner_that_cannot_be_set_leaves_nothing_behind),
		cmocka_unit_test(folder_that_can_be_written_but_not_read),
		cmocka_unit_test(folder_that_cannot_be_written),
	};

	return cmocka_run_group_tests(tests, place_make, place_remove);
}

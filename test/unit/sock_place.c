/* SPDX-License-Identifier: BSD-3-Clause */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sock_place.h"
#include "unit.h"

char place_folder[] = "/tmp/mif-unit-file-XXXXXX";
struct mif_sockaddr place;
const struct mif_sock_access place_plain = { (uid_t)-1, (gid_t)-1, (mode_t)-1 };
int (*place_before_listen)(void);

int __real_listen(int fd, int backlog);
int __wrap_listen(int fd, int backlog);

int
__wrap_listen(int fd, int backlog)
{
	int (*hook)(void) = place_before_listen;

	place_before_listen = NULL;
	if (hook != NULL && hook() != 0)
		return -1;
	return __real_listen(fd, backlog);
}

int
place_make(void **state)
{
	char path[MIF_SOCK_NAME_MAX + 1];

	(void)state;
	if (mkdtemp(place_folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/sock", place_folder);
	return mif_sockaddr_init(&place, path, false);
}

int
place_remove(void **state)
{
	(void)state;
	return rmdir(place_folder);
}

void
place_leave_stale(int type)
{
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&place.un, place.length), 0);
	if (type != SOCK_DGRAM)
		assert_int_equal(__real_listen(fd, 1), 0);
	close(fd);
}

ino_t
place_inode(void)
{
	struct stat status;

	assert_int_equal(lstat(place.un.sun_path, &status), 0);
	return status.st_ino;
}

bool
place_exists(void)
{
	struct stat status;

	return lstat(place.un.sun_path, &status) == 0;
}

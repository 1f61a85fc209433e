/* SPDX-License-Identifier: BSD-3-Clause */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "memif_sock.h"

#define BACKLOG 128
#define LOCK_TRIES 20 /* of 1 ms */

static_assert(sizeof(((struct sockaddr_un *)NULL)->sun_path) == MIF_SOCK_NAME_MAX + 1,
		"a path and its terminator fill sun_path");

int
mif_sockaddr_init(struct mif_sockaddr *addr, const char *name, bool abstract)
{
	size_t length = strlen(name);

	if (length == 0)
		return -EINVAL;
	if (length > MIF_SOCK_NAME_MAX)
		return -ENAMETOOLONG;
	memset(addr, 0, sizeof(*addr));
	addr->un.sun_family = AF_UNIX;
	addr->abstract = abstract;
	memcpy(addr->un.sun_path + (abstract ? 1 : 0), name, length);
	memcpy(addr->text, name, length);
	/* For both kinds one byte more than the name: the NUL in front of it, or behind it. */
	addr->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
	return 0;
}

bool
mif_sockaddr_same(const struct mif_sockaddr *a, const struct mif_sockaddr *b)
{
	return a->length == b->length && memcmp(&a->un, &b->un, a->length) == 0;
}

static int
new_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? -errno : fd;
}

int
mif_sock_connect(const struct mif_sockaddr *addr)
{
	int fd = new_socket();
	int ret;

	if (fd < 0)
		return fd;
	if (connect(fd, (const struct sockaddr *)&addr->un, addr->length) == 0)
		return fd;
	ret = -errno;
	close(fd);
	return ret;
}

/*
 * Between bind() and listen() a socket looks like a stale one, so processes that do the same take
 * turns in a folder. One that cannot be read has no turns.
 */
static int
lock_folder(const struct mif_sockaddr *addr)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	char path[sizeof(addr->un.sun_path)];
	int fd;

	memcpy(path, addr->un.sun_path, sizeof(path));
	fd = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return fd;
		nanosleep(&pause, NULL);
	}
	close(fd);
	return -EBUSY;
}

/* Remove the socket file if nobody listens on it. */
static int
remove_stale(const struct mif_sockaddr *addr)
{
	struct stat status;
	int fd;

	if (lstat(addr->un.sun_path, &status) != 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(status.st_mode))
		return -EEXIST;
	fd = mif_sock_connect(addr);
	if (fd >= 0)
		close(fd);
	if (fd != -ECONNREFUSED)
		return fd == -ENOENT ? 0 : -EADDRINUSE;
	return unlink(addr->un.sun_path) == 0 || errno == ENOENT ? 0 : -errno;
}

static int
bind_to(int fd, const struct mif_sockaddr *addr)
{
	return bind(fd, (const struct sockaddr *)&addr->un, addr->length) == 0 ? 0 : -errno;
}

static int
bind_replacing_stale(int fd, const struct mif_sockaddr *addr, int lock)
{
	int ret = bind_to(fd, addr);

	if (ret != -EADDRINUSE || addr->abstract)
		return ret;
	/* Without its turn, it cannot tell a stale file from one that is about to be live. */
	if (lock == -EBUSY)
		return lock;
	ret = remove_stale(addr);
	return ret == 0 ? bind_to(fd, addr) : ret;
}

/* Through a descriptor of the file: its name could lead elsewhere a moment later. */
static int
set_access(int file, const struct mif_sock_access *access)
{
	char path[32];

	if ((access->uid != (uid_t)-1 || access->gid != (gid_t)-1) &&
			fchownat(file, "", access->uid, access->gid, AT_EMPTY_PATH) != 0)
		return -errno;
	if (access->mode == (mode_t)-1)
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	return chmod(path, access->mode) == 0 ? 0 : -errno;
}

/* Between bind() and listen() nobody can connect, so this is the time to set the owner. */
static int
open_file_to(struct mif_sock_listener *listener, const struct mif_sockaddr *addr,
		const struct mif_sock_access *access)
{
	struct stat status;
	int file, ret;

	if (addr->abstract)
		return 0;
	file = open(addr->un.sun_path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (file < 0)
		return -errno;
	if (fstat(file, &status) != 0) {
		ret = -errno;
	} else if (!S_ISSOCK(status.st_mode)) {
		ret = -EEXIST;
	} else {
		listener->dev = status.st_dev;
		listener->ino = status.st_ino;
		ret = set_access(file, access);
	}
	close(file);
	return ret;
}

static int
bind_and_listen(struct mif_sock_listener *listener, const struct mif_sockaddr *addr,
		const struct mif_sock_access *access, int lock)
{
	int ret = bind_replacing_stale(listener->fd, addr, lock);

	if (ret != 0) {
		close(listener->fd);
		listener->fd = -1;
		return ret;
	}
	ret = open_file_to(listener, addr, access);
	if (ret == 0 && listen(listener->fd, BACKLOG) != 0)
		ret = -errno;
	if (ret != 0)
		mif_sock_unlisten(listener, addr);
	return ret;
}

int
mif_sock_listen(struct mif_sock_listener *listener, const struct mif_sockaddr *addr,
		const struct mif_sock_access *access)
{
	int lock = addr->abstract ? -EACCES : lock_folder(addr);
	int ret;

	*listener = (struct mif_sock_listener){ .fd = -1 };
	listener->fd = new_socket();
	ret = listener->fd < 0 ? listener->fd : bind_and_listen(listener, addr, access, lock);
	if (lock >= 0)
		close(lock);
	return ret;
}

void
mif_sock_unlisten(struct mif_sock_listener *listener, const struct mif_sockaddr *addr)
{
	struct stat status;

	if (listener->fd < 0)
		return;
	if (!addr->abstract && lstat(addr->un.sun_path, &status) == 0 &&
			status.st_dev == listener->dev && status.st_ino == listener->ino)
		unlink(addr->un.sun_path);
	close(listener->fd);
	listener->fd = -1;
}

int
mif_sock_accept(const struct mif_sock_listener *listener)
{
	int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0)
		return fd;
	return errno == EWOULDBLOCK || errno == ECONNABORTED || errno == EINTR ? -EAGAIN : -errno;
}

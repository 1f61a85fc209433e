/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "memif_notify.h"

#define QUEUE_LENGTH 256 /* completions that may wait, well above REAP_EVERY x threads */
#define REAP_EVERY 16	 /* a power of two */

int
mif_notifier_open(struct mif_notifier *notifier)
{
	memset(notifier, 0, sizeof(*notifier));
	notifier->file = memfd_create("memif-notify", MFD_CLOEXEC);
	if (notifier->file < 0)
		return -errno;
	if (syscall(__NR_io_setup, QUEUE_LENGTH, &notifier->aio) == 0)
		return 0;
	notifier->aio = 0;
	return -errno;
}

void
mif_notifier_close(struct mif_notifier *notifier)
{
	if (notifier->aio != 0)
		syscall(__NR_io_destroy, notifier->aio);
	if (notifier->file >= 0)
		close(notifier->file);
	notifier->aio = 0;
	notifier->file = -1;
}

static void
reap(struct mif_notifier *notifier)
{
	struct io_event events[2 * REAP_EVERY];
	struct timespec now = { 0 };

	syscall(__NR_io_getevents, notifier->aio, 0, 2 * REAP_EVERY, events, &now);
}

static int
submit(struct mif_notifier *notifier, int eventfd)
{
	uint8_t nothing[1];
	struct iocb request = {
		.aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_fildes = (uint32_t)notifier->file,
		.aio_buf = (uintptr_t)nothing,
		.aio_nbytes = 0,
		.aio_flags = IOCB_FLAG_RESFD,
		.aio_resfd = (uint32_t)eventfd,
	};
	struct iocb *list[1] = { &request };

	return syscall(__NR_io_submit, notifier->aio, 1, list) == 1 ? 0 : -errno;
}

int
mif_notify(struct mif_notifier *notifier, int eventfd)
{
	int ret;

	if (notifier->aio == 0)
		return -ENOSYS;
	if ((atomic_fetch_add_explicit(&notifier->count, 1, memory_order_relaxed) % REAP_EVERY) ==
			REAP_EVERY - 1)
		reap(notifier);
	ret = submit(notifier, eventfd);
	if (ret == -EAGAIN) {
		reap(notifier);
		ret = submit(notifier, eventfd);
	}
	return ret;
}

bool
mif_is_eventfd(int fd)
{
	static const char wanted[] = "anon_inode:[eventfd]";
	char path[32];
	char target[sizeof(wanted)];
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	length = readlink(path, target, sizeof(target));
	return length == sizeof(wanted) - 1 && memcmp(target, wanted, sizeof(wanted) - 1) == 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "memif_mp_chan.h"

/* Aligned as the kernel's control messages have to be. */
union control {
	struct cmsghdr header;
	uint8_t room[CMSG_SPACE(MIF_MP_ITEMS * sizeof(int))];
};

int
mif_mp_send(int sock, const struct mif_mp_msg *msg, const int *fds, unsigned int count)
{
	struct mif_mp_msg copy = *msg;
	struct iovec part = { .iov_base = &copy, .iov_len = sizeof(copy) };
	union control control;
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };
	ssize_t length;

	if (count > MIF_MP_ITEMS)
		return -E2BIG;
	if (count != 0) {
		memset(&control, 0, sizeof(control));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
		header.msg_control = &control;
		header.msg_controllen = CMSG_SPACE(count * sizeof(int));
	}
	do {
		length = sendmsg(sock, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (length < 0 && errno == EINTR);
	if (length < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	return 0;
}

static void
take_files(struct msghdr *header, int *fds, unsigned int *count)
{
	struct cmsghdr *cmsg;

	for (cmsg = CMSG_FIRSTHDR(header); cmsg != NULL; cmsg = CMSG_NXTHDR(header, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		/* The kernel puts all files of a message into one of these. */
		*count = (unsigned int)((cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(cmsg), *count * sizeof(int));
	}
}

int
mif_mp_recv(int sock, struct mif_mp_msg *msg, int *fds, unsigned int *count)
{
	struct iovec part = { .iov_base = msg, .iov_len = sizeof(*msg) };
	union control control;
	struct msghdr header = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t length;

	memset(&control, 0, sizeof(control));
	*count = 0;
	do {
		length = recvmsg(sock, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (length < 0 && errno == EINTR);
	if (length < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	take_files(&header, fds, count);
	if (length == sizeof(*msg) && (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0)
		return 0;
	while (*count != 0)
		close(fds[--*count]);
	if (length == 0)
		return -ECONNRESET;
	return length == sizeof(*msg) && (header.msg_flags & MSG_TRUNC) == 0 ? -EMFILE : -EPROTO;
}

/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "memif_chan.h"
#include "memif_discard.h"

#define DRAIN_MAX 32 /* messages; a peer could send for ever */

/*
 * Room for all that a message can carry (SCM_MAX_FD of Linux): the kernel would close those that
 * find none, and that can take as long as the peer likes.
 */
#define FDS_MAX 253

/* More than any message of ours carries: no need to look into it. */
#define FDS_TAKEN 8

/* Aligned as the kernel's control messages have to be. */
union control {
	struct cmsghdr header;
	uint8_t room[CMSG_SPACE(FDS_MAX * sizeof(int))];
};

static void
take_fds(struct mif_chan_msg *in, struct msghdr *header)
{
	struct cmsghdr *cmsg;
	size_t count;
	int fd;

	for (cmsg = CMSG_FIRSTHDR(header); cmsg != NULL; cmsg = CMSG_NXTHDR(header, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(fd));
			if (in->fds++ == 0)
				in->fd = fd;
			else
				mif_discard_fd(fd);
		}
	}
}

/* A reset is reported once, and in front of the messages that came before it. */
static ssize_t
receive(int sock, struct msghdr *header)
{
	bool reset = false;
	ssize_t length;

	for (;;) {
		length = recvmsg(sock, header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (length >= 0 || (errno != EINTR && (errno != ECONNRESET || reset)))
			return length;
		reset = errno == ECONNRESET;
	}
}

int
mif_chan_recv(int sock, struct mif_chan_msg *in)
{
	struct iovec part = { .iov_base = &in->msg, .iov_len = sizeof(in->msg) };
	union control control;
	struct msghdr header = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t length;

	memset(&control, 0, sizeof(control));
	in->fd = -1;
	in->fds = 0;
	length = receive(sock, &header);
	if (length < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;

	take_fds(in, &header);
	if (length == sizeof(in->msg) && (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0 &&
			in->fds <= FDS_TAKEN)
		return 0;
	mif_discard_fd(in->fd);
	in->fd = -1;
	return length == 0 && in->fds == 0 ? -ECONNRESET : -EPROTO;
}

int
mif_chan_send(int sock, const struct mif_msg *msg, int fd)
{
	struct mif_msg copy = *msg;
	struct iovec part = { .iov_base = &copy, .iov_len = sizeof(copy) };
	union control control;
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };
	ssize_t length;

	if (fd >= 0) {
		memset(&control, 0, sizeof(control));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
		header.msg_control = &control;
		header.msg_controllen = CMSG_SPACE(sizeof(fd));
	}
	do {
		length = sendmsg(sock, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (length < 0 && errno == EINTR);
	if (length < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	return length == sizeof(copy) ? 0 : -EPROTO;
}

void
mif_chan_close(int sock)
{
	struct mif_chan_msg in;
	int ret;

	for (int i = 0; i < DRAIN_MAX; i++) {
		ret = mif_chan_recv(sock, &in);
		if (ret != 0 && ret != -EPROTO)
			break;
		mif_discard_fd(in.fd);
	}
	close(sock);
}

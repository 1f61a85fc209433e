/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "memif_chan.h"
#include "unit.h"

#define FDS_MOST 253 /* SCM_MAX_FD of Linux */
#define CLOSING_READS_MOST 32

/* Messages that were read; the channel calls this in place of the C library's. */
static unsigned int messages_read;

ssize_t
recvmsg(int sock, struct msghdr *message, int flags)
{
	ssize_t length = syscall(SYS_recvmsg, sock, message, flags);

	messages_read += length >= 0;
	return length;
}

/** A connected pair of sockets: ours, and the peer's. */
struct link {
	int ours, theirs;
	struct unit_holdings before; /**< without the two */
};

static struct link
link_up(void)
{
	struct link link = { .before = unit_holdings() };
	int pair[2];

	/* Blocking ones: not to block is the channel's own business. */
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	link.ours = pair[0];
	link.theirs = pair[1];
	return link;
}

/* All fds that came are gone, but for those of the link itself and so many more. */
static void
assert_fds(const struct link *link, unsigned int more)
{
	assert_int_equal(unit_holdings().fds, link->before.fds + 2 + more);
}

static void
link_down(struct link *link)
{
	close(link->ours);
	close(link->theirs);
	assert_holdings(link->before);
}

/* What no honest peer does: any length, any number of fds, in so many control messages. */
static void
send_raw(int sock, size_t length, unsigned int fds, unsigned int parts)
{
	static uint8_t data[1 << 16];
	uint8_t control[4 * CMSG_SPACE(0) + CMSG_SPACE(FDS_MOST * sizeof(int))] = { 0 };
	struct iovec part = { .iov_base = data, .iov_len = length };
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control };
	int copies[FDS_MOST];

	assert_in_range(fds, 0, FDS_MOST);
	for (unsigned int i = 0; i < fds; i++)
		copies[i] = sock;
	for (unsigned int i = 0; i < parts && fds != 0; i++) {
		unsigned int count = i + 1 < parts ? fds / parts : fds - i * (fds / parts);
		struct cmsghdr *cmsg = (struct cmsghdr *)(control + header.msg_controllen);

		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(cmsg), copies, count * sizeof(int));
		header.msg_controllen += CMSG_SPACE(count * sizeof(int));
	}
	if (header.msg_controllen == 0)
		header.msg_control = NULL;
	assert_int_equal(sendmsg(sock, &header, MSG_NOSIGNAL), length);
}

static void
message_arrives_as_it_was_sent(void **state)
{
	struct link link = link_up();
	struct mif_chan_msg in;
	struct mif_msg msg;

	(void)state;
	for (unsigned int round = 0; round < 256; round++) {
		memset(&msg, (int)round, sizeof(msg));
		assert_int_equal(mif_chan_send(link.theirs, &msg, -1), 0);
		assert_int_equal(mif_chan_recv(link.ours, &in), 0);
		assert_memory_equal(&in.msg, &msg, sizeof(msg));
		assert_int_equal(in.fd, -1);
		assert_int_equal(in.fds, 0);
	}
	assert_int_equal(mif_chan_recv(link.ours, &in), -EAGAIN);
	link_down(&link);
}

static void
fd_arrives_as_a_copy(void **state)
{
	struct link link = link_up();
	struct mif_msg msg = { .type = 5 };
	struct mif_chan_msg in;
	eventfd_t value = 0;
	int event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	(void)state;
	assert_int_equal(mif_chan_send(link.theirs, &msg, event), 0);
	assert_int_equal(eventfd_write(event, 42), 0); /* it stays the sender's */
	close(event);
	assert_int_equal(mif_chan_recv(link.ours, &in), 0);
	assert_int_equal(in.fds, 1);
	assert_true(in.fd >= 0);
	assert_int_equal(fcntl(in.fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(eventfd_read(in.fd, &value), 0);
	assert_int_equal(value, 42);
	assert_fds(&link, 1);
	close(in.fd);
	link_down(&link);
}

static void
fd_0_is_a_valid_fd(void **state)
{
	int saved = fcntl(0, F_DUPFD_CLOEXEC, 3);
	struct link link = link_up();
	struct mif_msg msg = { .type = 4 };
	struct mif_chan_msg in;

	(void)state;
	if (saved < 0)
		unit_skip("standard input is closed");
	assert_int_equal(mif_chan_send(link.theirs, &msg, 0), 0);
	close(0);
	assert_int_equal(mif_chan_recv(link.ours, &in), 0);
	assert_int_equal(in.fds, 1);
	assert_int_equal(in.fd, 0);
	close(0);
	send_raw(link.theirs, 5, 1, 1);
	assert_int_equal(mif_chan_recv(link.ours, &in), -EPROTO);
	unit_wait_for_discards();
	assert_int_equal(fcntl(0, F_GETFD), -1);
	assert_int_equal(dup2(saved, 0), 0);
	link_down(&link);
	close(saved);
}

/* Up to eight are counted, so that the caller can refuse them; only the first is kept. */
static void
several_fds_are_counted_and_closed(void **state)
{
	struct link link = link_up();
	struct mif_chan_msg in;

	(void)state;
	for (unsigned int fds = 0; fds <= 8; fds++) {
		for (unsigned int parts = 1; parts <= 2 && parts <= fds; parts++) {
			send_raw(link.theirs, 128, fds, parts);
			assert_int_equal(mif_chan_recv(link.ours, &in), 0);
			assert_int_equal(in.fds, fds);
			assert_fds(&link, fds == 0 ? 0 : 1);
			if (in.fd >= 0)
				close(in.fd);
			assert_fds(&link, 0);
		}
	}
	link_down(&link);
}

static void
control_data_that_was_cut_is_refused(void **state)
{
	static const unsigned int counts[] = { 9, 10, 16, 20, 100, FDS_MOST };
	struct link link = link_up();
	struct mif_chan_msg in;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(counts); i++) {
		for (unsigned int parts = 1; parts <= 3; parts++) {
			send_raw(link.theirs, 128, counts[i], parts);
			assert_int_equal(mif_chan_recv(link.ours, &in), -EPROTO);
			assert_int_equal(in.fd, -1);
			assert_fds(&link, 0);
		}
	}
	link_down(&link);
}

/* The kernel cuts the control data, too, when this process may have no more fds. */
static void
no_fd_number_is_left(void **state)
{
	struct link link = link_up();
	struct rlimit old, none;
	struct mif_chan_msg in;
	int highest;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	highest = dup(link.ours); /* the lowest number that is free */
	assert_true(highest >= 0);
	close(highest);
	for (int room = 0; room < 3; room++) {
		send_raw(link.theirs, 128, 4, 1);
		none = (struct rlimit){ .rlim_cur = (rlim_t)(highest + room),
			.rlim_max = old.rlim_max };
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
		assert_int_equal(mif_chan_recv(link.ours, &in), -EPROTO);
		assert_int_equal(in.fd, -1);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
		assert_fds(&link, 0);
	}
	link_down(&link);
}

static void
wrong_length_is_refused(void **state)
{
	static const size_t lengths[] = { 1, 2, 64, 127, 129, 130, 256, 4096, 65536 };
	static const unsigned int counts[] = { 0, 1, 2, 8, 9, 20 };
	struct link link = link_up();
	struct mif_chan_msg in;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(lengths); i++) {
		for (size_t j = 0; j < COUNT_OF(counts); j++) {
			send_raw(link.theirs, lengths[i], counts[j], 1);
			assert_int_equal(mif_chan_recv(link.ours, &in), -EPROTO);
			assert_int_equal(in.fd, -1);
			assert_fds(&link, 0);
		}
	}
	/* Nothing of a long message is taken for the next one. */
	assert_int_equal(mif_chan_recv(link.ours, &in), -EAGAIN);
	link_down(&link);
}

static void
empty_message_is_an_error(void **state)
{
	struct link link = link_up();
	struct mif_chan_msg in;

	(void)state;
	send_raw(link.theirs, 0, 0, 1);
	assert_int_equal(mif_chan_recv(link.ours, &in), -ECONNRESET);
	send_raw(link.theirs, 0, 2, 1);
	assert_int_equal(mif_chan_recv(link.ours, &in), -EPROTO);
	assert_fds(&link, 0);
	link_down(&link);
}

static void
receiving_does_not_block(void **state)
{
	struct link link = link_up();
	struct mif_chan_msg in;

	(void)state;
	alarm(10);
	assert_int_equal(fcntl(link.ours, F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(mif_chan_recv(link.ours, &in), -EAGAIN);
	assert_int_equal(in.fd, -1);
	alarm(0);
	link_down(&link);
}

/* The peer never reads; the messages that wait for it hold fds, which end with the sockets. */
static void
sending_does_not_block(void **state)
{
	struct link link = link_up();
	struct mif_msg msg = { .type = 4 };
	struct mif_chan_msg in;
	unsigned int sent = 0;
	int ret;

	(void)state;
	alarm(10);
	while ((ret = mif_chan_send(link.ours, &msg, link.ours)) == 0)
		sent++;
	assert_int_equal(ret, -EAGAIN);
	assert_in_range(sent, 1, 100000);
	assert_int_equal(mif_chan_send(link.ours, &msg, -1), -EAGAIN);
	for (unsigned int i = 0; i < sent; i++) {
		assert_int_equal(mif_chan_recv(link.theirs, &in), 0);
		close(in.fd);
	}
	assert_int_equal(mif_chan_send(link.ours, &msg, link.ours), 0);
	alarm(0);
	assert_fds(&link, 0);
	link_down(&link);
}

static void
closed_peer(void **state)
{
	struct link link = link_up();
	struct mif_msg msg = { .type = 1 };
	struct mif_chan_msg in;

	(void)state;
	assert_int_equal(mif_chan_send(link.theirs, &msg, -1), 0);
	close(link.theirs);
	assert_int_equal(mif_chan_recv(link.ours, &in), 0); /* what was sent still comes */
	assert_int_equal(mif_chan_recv(link.ours, &in), -ECONNRESET);
	assert_int_equal(mif_chan_recv(link.ours, &in), -ECONNRESET);
	assert_int_equal(mif_chan_send(link.ours, &msg, -1), -EPIPE); /* and no SIGPIPE */
	assert_int_equal(mif_chan_send(link.ours, &msg, link.ours), -EPIPE);
	close(link.ours);
	assert_holdings(link.before);
}

/* A peer that leaves with our message unread: its last words come in front of the reset. */
static void
last_words_come_before_the_reset(void **state)
{
	struct link link = link_up();
	struct mif_msg ack = { .type = 1 }, bye = { .type = 8 };
	struct mif_chan_msg in;

	(void)state;
	assert_int_equal(mif_chan_send(link.ours, &ack, -1), 0);
	assert_int_equal(mif_chan_send(link.theirs, &bye, -1), 0);
	close(link.theirs);
	assert_int_equal(mif_chan_recv(link.ours, &in), 0);
	assert_int_equal(in.msg.type, 8);
	assert_int_equal(mif_chan_recv(link.ours, &in), -ECONNRESET);
	close(link.ours);
	assert_holdings(link.before);
}

static void
sockets_that_are_none(void **state)
{
	struct unit_holdings before = unit_holdings();
	struct mif_msg msg = { .type = 1 };
	struct mif_chan_msg in;
	int event = eventfd(0, EFD_CLOEXEC);

	(void)state;
	assert_int_equal(mif_chan_recv(event, &in), -ENOTSOCK);
	assert_int_equal(in.fd, -1);
	assert_int_equal(mif_chan_send(event, &msg, -1), -ENOTSOCK);
	close(event);
	assert_int_equal(mif_chan_recv(event, &in), -EBADF);
	assert_int_equal(mif_chan_send(event, &msg, -1), -EBADF);
	assert_holdings(before);
}

static void
fd_that_is_closed_cannot_be_sent(void **state)
{
	struct link link = link_up();
	struct mif_msg msg = { .type = 4 };
	struct mif_chan_msg in;

	(void)state;
	assert_int_equal(mif_chan_send(link.ours, &msg, 1000000), -EBADF);
	assert_int_equal(mif_chan_recv(link.theirs, &in), -EAGAIN);
	link_down(&link);
}

/* Closing drops what was not read, with its fds, so the peer gets our last words, not a reset. */
static void
closing_lets_the_peer_hear_the_last_words(void **state)
{
	struct link link = link_up();
	struct mif_msg bye = { .type = 8 };
	ssize_t length;

	(void)state;
	for (unsigned int i = 0; i < 20; i++)
		send_raw(link.theirs, i % 3 == 0 ? 60 : 128, i, 1);
	assert_int_equal(mif_chan_send(link.ours, &bye, -1), 0);
	mif_chan_close(link.ours);
	assert_int_equal(unit_holdings().fds, link.before.fds + 1);
	/* As any other peer receives, without a second look. */
	length = recv(link.theirs, &bye, sizeof(bye), MSG_DONTWAIT);
	assert_int_equal(length, sizeof(bye));
	assert_int_equal(bye.type, 8);
	close(link.theirs);
	assert_holdings(link.before);
}

static void
closing_a_flooded_channel_ends(void **state)
{
	struct link link = link_up();
	struct mif_msg msg = { .type = 4 };

	(void)state;
	alarm(10);
	while (mif_chan_send(link.theirs, &msg, link.theirs) == 0)
		;
	mif_chan_close(link.ours);
	alarm(0);
	close(link.theirs);
	assert_holdings(link.before);
}

/* What the peer has sent by then may be more than that, and there may be more while we read. */
static void
closing_reads_so_many_messages_at_most(void **state)
{
	struct link link = link_up();

	(void)state;
	for (unsigned int i = 0; i < 3 * CLOSING_READS_MOST; i++)
		send_raw(link.theirs, 128, i, 0);
	messages_read = 0;
	mif_chan_close(link.ours);
	assert_in_range(messages_read, 1, CLOSING_READS_MOST);
	close(link.theirs);
	assert_holdings(link.before);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(message_arrives_as_it_was_sent),
		cmocka_unit_test(fd_arrives_as_a_copy),
		cmocka_unit_test(fd_0_is_a_valid_fd),
		cmocka_unit_test(several_fds_are_counted_and_closed),
		cmocka_unit_test(control_data_that_was_cut_is_refused),
		cmocka_unit_test(no_fd_number_is_left),
		cmocka_unit_test(wrong_length_is_refused),
		cmocka_unit_test(empty_message_is_an_error),
		cmocka_unit_test(receiving_does_not_block),
		cmocka_unit_test(sending_does_not_block),
		cmocka_unit_test(closed_peer),
		cmocka_unit_test(last_words_come_before_the_reset),
		cmocka_unit_test(sockets_that_are_none),
		cmocka_unit_test(fd_that_is_closed_cannot_be_sent),
		cmocka_unit_test(closing_lets_the_peer_hear_the_last_words),
		cmocka_unit_test(closing_a_flooded_channel_ends),
		cmocka_unit_test(closing_reads_so_many_messages_at_most),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

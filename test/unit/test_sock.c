/* SPDX-License-Identifier: BSD-3-Clause */

/* Addresses, listening, connecting, accepting. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memif_sock.h"
#include "unit.h"

#define SUN_PATH offsetof(struct sockaddr_un, sun_path)

static const struct mif_sock_access plain = { (uid_t)-1, (gid_t)-1, (mode_t)-1 };
static char folder[] = "/tmp/mif-unit-sock-XXXXXX";

static int
make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) == NULL ? -1 : 0;
}

/* Fails when a test has left something there. */
static int
remove_folder(void **state)
{
	(void)state;
	return rmdir(folder);
}

static struct mif_sockaddr
address(const char *name, bool abstract)
{
	struct mif_sockaddr addr;

	memset(&addr, 0xee, sizeof(addr));
	assert_int_equal(mif_sockaddr_init(&addr, name, abstract), 0);
	return addr;
}

static struct mif_sockaddr
path_address(const char *name)
{
	char path[MIF_SOCK_NAME_MAX + 1];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return address(path, false);
}

/* Of this process alone. */
static struct mif_sockaddr
abstract_address(const char *name)
{
	char text[MIF_SOCK_NAME_MAX + 1];

	snprintf(text, sizeof(text), "mif-unit-%d-%s", (int)getpid(), name);
	return address(text, true);
}

static void
path_is_terminated(void **state)
{
	struct mif_sockaddr addr = address("/run/x", false);

	(void)state;
	assert_int_equal(addr.un.sun_family, AF_UNIX);
	assert_memory_equal(addr.un.sun_path, "/run/x", 7);
	assert_int_equal(addr.length, SUN_PATH + 7);
	assert_false(addr.abstract);
	assert_string_equal(addr.text, "/run/x");
}

static void
abstract_name_follows_a_nul(void **state)
{
	struct mif_sockaddr addr = address("name", true);

	(void)state;
	assert_int_equal(addr.un.sun_family, AF_UNIX);
	assert_memory_equal(addr.un.sun_path, "\0name", 5);
	assert_int_equal(addr.length, SUN_PATH + 5); /* bytes behind the name would belong to it */
	assert_true(addr.abstract);
	assert_string_equal(addr.text, "name");
}

static void
longest_names(void **state)
{
	struct mif_sockaddr addr;
	char name[200];

	(void)state;
	memset(name, 'n', sizeof(name));
	for (int abstract = 0; abstract <= 1; abstract++) {
		name[107] = 0;
		assert_int_equal(mif_sockaddr_init(&addr, name, abstract), 0);
		assert_int_equal(addr.length, sizeof(struct sockaddr_un));
		assert_string_equal(addr.text, name);
		assert_memory_equal(addr.un.sun_path + abstract, name, 107);
		name[107] = 'n';
		name[108] = 0;
		assert_int_equal(mif_sockaddr_init(&addr, name, abstract), -ENAMETOOLONG);
		name[108] = 'n';
		name[199] = 0;
		assert_int_equal(mif_sockaddr_init(&addr, name, abstract), -ENAMETOOLONG);
		assert_int_equal(mif_sockaddr_init(&addr, "", abstract), -EINVAL);
	}
}

static void
same_place(void **state)
{
	struct mif_sockaddr a = address("/run/a", false), b = address("/run/a", false);
	struct mif_sockaddr longer = address("/run/ab", false), other = address("/run/b", false);
	struct mif_sockaddr abstract = address("/run/a", true), again = address("/run/a", true);

	(void)state;
	assert_true(mif_sockaddr_same(&a, &a));
	assert_true(mif_sockaddr_same(&a, &b));
	assert_true(mif_sockaddr_same(&abstract, &again));
	assert_false(mif_sockaddr_same(&a, &longer));
	assert_false(mif_sockaddr_same(&longer, &a));
	assert_false(mif_sockaddr_same(&a, &other));
	assert_false(mif_sockaddr_same(&a, &abstract));
}

static void
assert_seqpacket(int fd)
{
	socklen_t length = sizeof(int);
	int type = 0;

	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length), 0);
	assert_int_equal(type, SOCK_SEQPACKET);
}

static void
exchange(int from, int to)
{
	char byte = 'a';

	assert_int_equal(send(from, &byte, 1, 0), 1);
	byte = 0;
	assert_int_equal(recv(to, &byte, 1, 0), 1);
	assert_int_equal(byte, 'a');
}

/* Listen, connect, accept, and leave nothing behind. */
static void
meet_at(const struct mif_sockaddr *addr)
{
	struct unit_holdings before = unit_holdings();
	struct mif_sock_listener listener;
	struct stat status;
	int client, server;

	assert_int_equal(mif_sock_listen(&listener, addr, &plain), 0);
	assert_seqpacket(listener.fd);
	assert_int_equal(mif_sock_accept(&listener), -EAGAIN);
	client = mif_sock_connect(addr);
	assert_true(client >= 0);
	assert_seqpacket(client);
	server = mif_sock_accept(&listener);
	assert_true(server >= 0);
	assert_seqpacket(server);
	exchange(client, server);
	exchange(server, client);
	assert_int_equal(mif_sock_accept(&listener), -EAGAIN);
	mif_sock_unlisten(&listener, addr);
	assert_int_equal(listener.fd, -1);
	if (!addr->abstract)
		assert_int_equal(lstat(addr->un.sun_path, &status), -1);
	exchange(client, server); /* those that are connected stay so */
	close(client);
	close(server);
	assert_holdings(before);
}

static void
meet_at_a_path(void **state)
{
	struct mif_sockaddr addr = path_address("a");

	(void)state;
	meet_at(&addr);
	meet_at(&addr);
}

static void
meet_at_an_abstract_name(void **state)
{
	struct mif_sockaddr addr = abstract_address("a");

	(void)state;
	meet_at(&addr);
	meet_at(&addr);
}

static void
meet_at_the_longest_names(void **state)
{
	char name[108];
	size_t used = (size_t)snprintf(name, sizeof(name), "%s/", folder);
	struct mif_sockaddr addr;

	(void)state;
	memset(name + used, 'l', 107 - used);
	name[107] = 0;
	addr = address(name, false);
	meet_at(&addr);
	used = (size_t)snprintf(name, sizeof(name), "mif-unit-%d-", (int)getpid());
	memset(name + used, 'l', 107 - used);
	addr = address(name, true);
	meet_at(&addr);
}

/* The way DPDK and VPP write an abstract name: a NUL, the name, and the length ends with it. */
static void
abstract_name_is_the_one_of_other_programs(void **state)
{
	struct unit_holdings before = unit_holdings();
	struct mif_sockaddr addr = abstract_address("theirs");
	struct sockaddr_un theirs = { .sun_family = AF_UNIX };
	socklen_t length = (socklen_t)(SUN_PATH + 1 + strlen(addr.text));
	int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	int client;

	(void)state;
	memcpy(theirs.sun_path + 1, addr.text, strlen(addr.text));
	assert_int_equal(bind(listener, (struct sockaddr *)&theirs, length), 0);
	assert_int_equal(listen(listener, 1), 0);
	client = mif_sock_connect(&addr);
	assert_true(client >= 0);
	close(client);
	close(listener);
	assert_holdings(before);
}

static void
nobody_listens(void **state)
{
	struct unit_holdings before = unit_holdings();
	struct mif_sockaddr path = path_address("nobody"), abstract = abstract_address("nobody");
	int stale = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	int file;

	(void)state;
	assert_int_equal(mif_sock_connect(&path), -ENOENT);
	assert_int_equal(mif_sock_connect(&abstract), -ECONNREFUSED);
	assert_int_equal(bind(stale, (struct sockaddr *)&path.un, path.length), 0);
	assert_int_equal(mif_sock_connect(&path), -ECONNREFUSED);
	close(stale);
	assert_int_equal(mif_sock_connect(&path), -ECONNREFUSED);
	unlink(path.un.sun_path);
	file = open(path.un.sun_path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	assert_true(mif_sock_connect(&path) < 0);
	close(file);
	unlink(path.un.sun_path);
	assert_holdings(before);
}

/* Sockets of other types at the same place. */
static void
wrong_type_of_server(void **state)
{
	struct unit_holdings before = unit_holdings();
	struct mif_sockaddr addr = path_address("stream");
	int stream = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	assert_int_equal(bind(stream, (struct sockaddr *)&addr.un, addr.length), 0);
	assert_int_equal(listen(stream, 1), 0);
	assert_int_equal(mif_sock_connect(&addr), -EPROTOTYPE);
	close(stream);
	unlink(addr.un.sun_path);
	assert_holdings(before);
}

/* A server that accepts nobody: connecting does not wait for it. */
static void
full_queue_of_clients(void **state)
{
	struct unit_holdings before = unit_holdings();
	struct mif_sockaddr addr = path_address("full");
	struct mif_sock_listener listener;
	unsigned int count = 0;
	int clients[4096];
	int fd;

	(void)state;
	assert_int_equal(mif_sock_listen(&listener, &addr, &plain), 0);
	alarm(10);
	while (count < COUNT_OF(clients) && (fd = mif_sock_connect(&addr)) >= 0)
		clients[count++] = fd;
	alarm(0);
	assert_in_range(count, 64, COUNT_OF(clients) - 1); /* all 64 ids of one server at once */
	assert_int_equal(fd, -EAGAIN);
	fd = mif_sock_accept(&listener);
	assert_true(fd >= 0);
	close(fd);
	fd = mif_sock_connect(&addr);
	assert_true(fd >= 0);
	close(fd);
	mif_sock_unlisten(&listener, &addr);
	while (count != 0)
		close(clients[--count]);
	assert_holdings(before);
}

static void
client_that_left_before_it_was_accepted(void **state)
{
	struct unit_holdings before = unit_holdings();
	struct mif_sockaddr addr = abstract_address("left");
	struct mif_sock_listener listener;
	char byte;
	int fd;

	(void)state;
	assert_int_equal(mif_sock_listen(&listener, &addr, &plain), 0);
	fd = mif_sock_connect(&addr);
	close(fd);
	fd = mif_sock_accept(&listener);
	if (fd >= 0) {
		assert_int_equal(recv(fd, &byte, 1, 0), 0);
		close(fd);
	} else {
		assert_int_equal(fd, -EAGAIN);
	}
	mif_sock_unlisten(&listener, &addr);
	assert_holdings(before);
}

static void
one_listener_per_place(void **state)
{
	struct mif_sockaddr addrs[] = { path_address("one"), abstract_address("one") };
	struct unit_holdings before = unit_holdings();
	struct mif_sock_listener first, second;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(addrs); i++) {
		assert_int_equal(mif_sock_listen(&first, &addrs[i], &plain), 0);
		assert_int_equal(mif_sock_listen(&second, &addrs[i], &plain), -EADDRINUSE);
		assert_int_equal(second.fd, -1);
		mif_sock_unlisten(&second, &addrs[i]);
		assert_int_equal(mif_sock_listen(&second, &addrs[i], &plain), -EADDRINUSE);
		mif_sock_unlisten(&first, &addrs[i]);
		assert_int_equal(mif_sock_listen(&second, &addrs[i], &plain), 0);
		mif_sock_unlisten(&second, &addrs[i]);
		assert_holdings(before);
	}
}

static void
accepting_without_a_listener(void **state)
{
	const struct mif_sock_listener closed = { .fd = -1 };

	(void)state;
	assert_int_equal(mif_sock_accept(&closed), -EBADF);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(path_is_terminated),
		cmocka_unit_test(abstract_name_follows_a_nul),
		cmocka_unit_test(longest_names),
		cmocka_unit_test(same_place),
		cmocka_unit_test(meet_at_a_path),
		cmocka_unit_test(meet_at_an_abstract_name),
		cmocka_unit_test(meet_at_the_longest_names),
		cmocka_unit_test(abstract_name_is_the_one_of_other_programs),
		cmocka_unit_test(nobody_listens),
		cmocka_unit_test(wrong_type_of_server),
		cmocka_unit_test(full_queue_of_clients),
		cmocka_unit_test(client_that_left_before_it_was_accepted),
		cmocka_unit_test(one_listener_per_place),
		cmocka_unit_test(accepting_without_a_listener),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

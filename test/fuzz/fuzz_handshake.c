/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Whole connections with real ports, sockets, files and memory: peers of both roles that send what
 * the input says, change and pull away the memory, and go at any time. The application meanwhile
 * polls, stops and starts. After each input nothing is left, and an honest pair has not noticed.
 */

#include <sys/socket.h>
#include <unistd.h>

#include "peer.h"
#include "ports.h"
#include "turns.h"

#define STEPS_MAX 100
#define PEERS 3

static struct peer peers[PEERS];
static int listener = -1;

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	ports_init();
	for (int i = 0; i < PEERS; i++)
		peers[i].sock = -1;
	return 0;
}

static void
turn(void)
{
	turns_all();
	ports_check();
}

static int
new_socket(void)
{
	int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	FUZZ_CHECK(sock >= 0, "no socket");
	return sock;
}

static void
connect_to_server(struct peer *peer)
{
	socklen_t length;
	struct sockaddr_un address = ports_server_address(&length);
	int sock = new_socket();

	if (connect(sock, (const struct sockaddr *)&address, length) != 0) {
		close(sock);
		return;
	}
	peer_open(peer, sock);
}

/* The client port comes by itself, when its time is up. */
static void
accept_client(struct peer *peer)
{
	socklen_t length;
	struct sockaddr_un address = ports_client_address(&length);
	int sock;

	if (listener < 0) {
		listener = new_socket();
		FUZZ_CHECK(bind(listener, (const struct sockaddr *)&address, length) == 0 &&
						listen(listener, 4) == 0,
				"cannot listen");
	}
	turns_pass(500);
	turn();
	sock = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (sock >= 0)
		peer_open(peer, sock);
}

static void
talk(struct peer *peer, bool server, unsigned int port, struct fuzz_input *in)
{
	static const uint8_t kinds[] = { PEER_SEALED, PEER_UNSEALED, PEER_HUGE };
	uint8_t choice = fuzz_u8(in);

	if (choice < 150) {
		if (server)
			peer_proceed_as_client(peer, port, kinds[choice % COUNT_OF(kinds)]);
		else
			peer_proceed_as_server(peer);
	} else if (choice < 220) {
		if (server)
			peer_send_as_client(peer, in, port);
		else
			peer_send_as_server(peer, in);
	} else {
		peer_send_anything(peer, in);
	}
}

static void
step(struct fuzz_input *in, unsigned int port)
{
	bool server = port != PORT_CLIENT;
	uint8_t choice = fuzz_u8(in);
	struct peer *peer = &peers[choice < 220 ? 0 : choice % PEERS];

	if (peer->sock < 0) {
		if (server)
			connect_to_server(peer);
		else
			accept_client(peer);
		turn();
		if (peer->sock < 0)
			return;
	}
	switch (choice % 16) {
	case 0:
	case 1:
	case 2:
		peer_scribble(peer, in);
		return;
	case 3:
	case 4:
		ports_burst(port, in);
		break;
	case 5:
		ports_operate(port, fuzz_u8(in));
		break;
	case 6:
		if (fuzz_u8(in) < 64)
			peer_close(peer);
		break;
	case 7:
		if (fuzz_u8(in) < 64)
			turns_pass(fuzz_u8(in) * UINT64_C(50));
		break;
	case 8:
		peer_pull_away(peer, in);
		break;
	default:
		talk(peer, server, port, in);
		break;
	}
	/* Messages may also come several at once. */
	if (choice < 250)
		turn();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	unsigned int port = fuzz_u8(&in) % PORTS;

	for (int i = 0; i < STEPS_MAX && in.left != 0; i++)
		step(&in, port);
	for (int i = 0; i < PEERS; i++)
		peer_close(&peers[i]);
	if (listener >= 0)
		close(listener);
	listener = -1;
	ports_operate(port, 2); /* the link may be set down */
	turns_all();
	/* A session whose server was gone before it was accepted, and the retry after it. */
	turns_pass(11000);
	turns_all();
	ports_check_clean();
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * mif-load: a memif peer without DPDK that moves packets as fast as it can, and can be made to die
 * or to stop at any moment.
 */

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "kill.h"

static const char usage[] =
		"mif-load --role client|server --socket PATH|@NAME [options]\n"
		"  --id N        interface id (0)\n"
		"  --rings N     client: rings of each direction (1)\n"
		"  --rsize N     client: log2 of the ring size (8)\n"
		"  --stop-at N   stop (SIGSTOP) before the N-th thing of the first handshake:\n"
		"                1 is the connection itself, 2 the first message, ...\n"
		"  --kills N     be killed so many times instead of living for ever\n"
		"  --seed N      of the moments of these deaths (1)\n"
		"  --max-us N    the longest life after the handshake (4000)\n";

static const struct option long_options[] = {
	{ "role", required_argument, NULL, 'r' },
	{ "socket", required_argument, NULL, 's' },
	{ "id", required_argument, NULL, 'i' },
	{ "rings", required_argument, NULL, 'n' },
	{ "rsize", required_argument, NULL, 'l' },
	{ "stop-at", required_argument, NULL, 'p' },
	{ "kills", required_argument, NULL, 'k' },
	{ "seed", required_argument, NULL, 'e' },
	{ "max-us", required_argument, NULL, 'm' },
	{ NULL, 0, NULL, 0 },
};

static void
refuse(const char *what)
{
	fprintf(stderr, "mif-load: %s\n%s", what, usage);
	exit(2);
}

static unsigned int
number(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text == '\0' || *end != '\0' || value > 1000000000)
		refuse("not a number, or too large");
	return (unsigned int)value;
}

static void
set_address(struct peer *peer, const char *name)
{
	bool abstract = name[0] == '@';

	if (mif_sockaddr_init(&peer->addr, name + (abstract ? 1 : 0), abstract) != 0)
		refuse("no name, or too long, for a socket");
}

static void
set_option(struct peer *peer, struct kill_cfg *cfg, int option, const char *value)
{
	switch (option) {
	case 'r':
		if (strcmp(value, "client") != 0 && strcmp(value, "server") != 0)
			refuse("the role is client or server");
		peer->role = strcmp(value, "client") == 0 ? MIF_CLIENT : MIF_SERVER;
		break;
	case 's':
		set_address(peer, value);
		break;
	case 'i':
		peer->cfg.id = number(value);
		break;
	case 'n':
		peer->cfg.rings[MIF_C2S] = (uint16_t)number(value);
		peer->cfg.rings[MIF_S2C] = peer->cfg.rings[MIF_C2S];
		break;
	case 'l':
		peer->cfg.log2_ring_size = (uint8_t)number(value);
		break;
	case 'p':
		peer->stop_at = number(value);
		break;
	case 'k':
		cfg->kills = number(value);
		break;
	case 'e':
		cfg->seed = number(value);
		break;
	case 'm':
		cfg->max_us = number(value);
		break;
	default:
		refuse("unknown option");
	}
}

int
main(int argc, char **argv)
{
	static struct peer peer = {
		.cfg = {
			.log2_ring_size = 8,
			.rings = { 1, 1 },
			.name = "mif-load",
			.if_name = "load",
		},
		.stop_signal = SIGSTOP,
	};
	struct kill_cfg cfg = { .seed = 1, .max_us = 4000 };
	int option;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		set_option(&peer, &cfg, option, optarg);
	if (peer.addr.length == 0 || optind != argc || cfg.max_us == 0)
		refuse("a role and a socket are needed");
	peer.progress = mmap(NULL, sizeof(*peer.progress), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (peer.progress == MAP_FAILED) {
		perror("mif-load: mmap");
		return 1;
	}
	peer_init(&peer);
	if (cfg.kills != 0)
		return kill_often(&peer, &cfg) == 0 ? 0 : 1;
	if (peer.role == MIF_SERVER && peer_listen(&peer) != 0) {
		fprintf(stderr, "mif-load: cannot listen on %s\n", peer.addr.text);
		return 1;
	}
	live(&peer);
	return 1;
}

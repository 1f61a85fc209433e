/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * mif-storm: a memif peer without DPDK whose descriptors and indices are random. It comes back as
 * often as it is thrown out, until the other end has taken so many descriptors.
 */

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <signal.h>

#include "storm.h"

static const char usage[] = "mif-storm --role client|server --socket PATH|@NAME [options]\n"
			    "  --id N      interface id (0)\n"
			    "  --rings N   client: rings of each direction (1)\n"
			    "  --rsize N   client: log2 of the ring size (8)\n"
			    "  --count N   descriptors that the other end is to take (1000000)\n"
			    "  --seed N    of what is random (1)\n"
			    "Prints one line of JSON at the end.\n";

static const struct option long_options[] = {
	{ "role", required_argument, NULL, 'r' },
	{ "socket", required_argument, NULL, 's' },
	{ "id", required_argument, NULL, 'i' },
	{ "rings", required_argument, NULL, 'n' },
	{ "rsize", required_argument, NULL, 'l' },
	{ "count", required_argument, NULL, 'c' },
	{ "seed", required_argument, NULL, 'e' },
	{ NULL, 0, NULL, 0 },
};

static void
refuse(const char *what)
{
	fprintf(stderr, "mif-storm: %s\n%s", what, usage);
	exit(2);
}

static uint64_t
number(const char *text)
{
	char *end;
	unsigned long long value = strtoull(text, &end, 10);

	if (*text == '\0' || *end != '\0')
		refuse("not a number");
	return value;
}

static void
set_option(struct storm *storm, int option, const char *value)
{
	struct peer *peer = storm->peer;

	switch (option) {
	case 'r':
		if (strcmp(value, "client") != 0 && strcmp(value, "server") != 0)
			refuse("the role is client or server");
		peer->role = strcmp(value, "client") == 0 ? MIF_CLIENT : MIF_SERVER;
		break;
	case 's':
		if (mif_sockaddr_init(&peer->addr, value + (value[0] == '@'), value[0] == '@') != 0)
			refuse("no name, or too long, for a socket");
		break;
	case 'i':
		peer->cfg.id = (uint32_t)number(value);
		break;
	case 'n':
		peer->cfg.rings[MIF_C2S] = (uint16_t)number(value);
		peer->cfg.rings[MIF_S2C] = peer->cfg.rings[MIF_C2S];
		break;
	case 'l':
		peer->cfg.log2_ring_size = (uint8_t)number(value);
		break;
	case 'c':
		storm->wanted = number(value);
		break;
	case 'e':
		/* A zero would stay one for ever. */
		storm->random = (number(value) + 1) * UINT64_C(0x9E3779B97F4A7C15);
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
			.name = "mif-storm",
			.if_name = "storm",
		},
	};
	static struct progress progress;
	static struct storm storm = { .peer = &peer, .wanted = 1000000, .random = 1 };
	double begin = seconds_now();
	int option;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		set_option(&storm, option, optarg);
	if (peer.addr.length == 0 || optind != argc)
		refuse("a role and a socket are needed");
	peer.progress = &progress;
	peer_init(&peer);
	if (peer.role == MIF_SERVER && peer_listen(&peer) != 0) {
		fprintf(stderr, "mif-storm: cannot listen on %s\n", peer.addr.text);
		return 1;
	}
	storm_run(&storm);
	printf("{\"descriptors\": %llu, \"bad\": %llu, \"jumps\": %llu, \"connections\": %llu, "
	       "\"stuck\": %llu, \"seconds\": %.1f}\n",
			(unsigned long long)storm.descriptors, (unsigned long long)storm.bad,
			(unsigned long long)storm.jumps, (unsigned long long)storm.connections,
			(unsigned long long)storm.stuck, seconds_now() - begin);
	return 0;
}

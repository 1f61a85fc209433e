/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * mif-intr: receive interrupts, by public API only. One end sleeps without a time-out until packets
 * come, and sends them back; the other polls, sends single packets, and knows by the answer that the
 * first one woke up.
 *
 *     mif-intr [EAL options] -- --send | --sleep [--plain] [--count N] [--queues N] [--seed N]
 */

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "sleeper.h"

#define MBUFS 4095
#define SLOTS 256

static void
usage(void)
{
	fprintf(stderr,
			"usage: mif-intr [EAL options] -- --send | --sleep [options]\n"
			"  --plain     sleep in poll(), not in rte_epoll_wait()\n"
			"  --count N   packets to send (100000)\n"
			"  --queues N  receive and transmit queues (1)\n"
			"  --seed N    of the sender's pauses (1)\n");
}

static bool
parse(int argc, char **argv, struct options *options)
{
	static const struct option names[] = {
		{ "send", no_argument, NULL, 's' },
		{ "sleep", no_argument, NULL, 'r' },
		{ "plain", no_argument, NULL, 'p' },
		{ "count", required_argument, NULL, 'c' },
		{ "queues", required_argument, NULL, 'q' },
		{ "seed", required_argument, NULL, 'e' },
		{ NULL, 0, NULL, 0 },
	};
	bool role = false;
	int c;

	*options = (struct options){ .count = 100000, .queues = 1, .seed = 1 };
	optind = 1;
	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		role |= c == 's' || c == 'r';
		if (c == 's')
			options->send = true;
		else if (c == 'p')
			options->plain = true;
		else if (c == 'c')
			options->count = strtoull(optarg, NULL, 10);
		else if (c == 'q')
			options->queues = (uint16_t)strtoul(optarg, NULL, 10);
		else if (c == 'e')
			options->seed = (uint32_t)strtoul(optarg, NULL, 10);
		else if (c == '?')
			return false;
	}
	return role && options->queues >= 1 && options->queues <= QUEUES_MAX;
}

static int
set_up(uint16_t port, const struct options *options, struct rte_mempool *mbufs)
{
	const struct rte_eth_conf conf = { .intr_conf.rxq = !options->send };
	int ret = rte_eth_dev_configure(port, options->queues, options->queues, &conf);

	for (uint16_t i = 0; ret == 0 && i < options->queues; i++) {
		ret = rte_eth_rx_queue_setup(port, i, SLOTS, SOCKET_ID_ANY, NULL, mbufs);
		if (ret == 0)
			ret = rte_eth_tx_queue_setup(port, i, SLOTS, SOCKET_ID_ANY, NULL);
	}
	return ret == 0 ? rte_eth_dev_start(port) : ret;
}

void
times_add(struct times *times, uint64_t ns)
{
	uint32_t *more;
	uint32_t size;

	if (times->count == times->size) {
		size = times->size == 0 ? 4096 : 2 * times->size;
		more = realloc(times->ns, size * sizeof(*more));
		if (more == NULL)
			return;
		times->ns = more;
		times->size = size;
	}
	times->ns[times->count++] = ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
}

static int
compare(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

void
times_print(struct times *times, const char *name)
{
	uint32_t n = times->count;

	if (n == 0) {
		printf("\"%s\": null", name);
		return;
	}
	qsort(times->ns, n, sizeof(*times->ns), compare);
	printf("\"%s\": {\"median\": %u, \"p99\": %u, \"max\": %u, \"count\": %u}", name,
			times->ns[n / 2], times->ns[(uint32_t)((uint64_t)n * 99 / 100)],
			times->ns[n - 1], n);
}

int
main(int argc, char **argv)
{
	int used = rte_eal_init(argc, argv);
	struct rte_mempool *mbufs;
	struct options options;
	int ret;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (used < 0)
		return 2;
	if (!parse(argc - used, argv + used, &options)) {
		usage();
		return 2;
	}
	mbufs = rte_pktmbuf_pool_create("intr", MBUFS, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
			SOCKET_ID_ANY);
	if (mbufs == NULL || !rte_eth_dev_is_valid_port(0) || set_up(0, &options, mbufs) != 0) {
		fprintf(stderr, "mif-intr: no mbufs, or no port that can be set up; see above\n");
		return 2;
	}
	ret = options.send ? run_sender(0, &options, mbufs) : run_sleeper(0, &options);
	rte_eth_dev_stop(0);
	rte_eth_dev_close(0);
	if (rte_mempool_in_use_count(mbufs) != 0) {
		fprintf(stderr, "mif-intr: %u mbufs leaked\n", rte_mempool_in_use_count(mbufs));
		ret = 1;
	}
	rte_eal_cleanup();
	return ret;
}

/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * mif-lifecycle: an application that attaches, starts, stops, closes and detaches ports as it is
 * told on stdin, while one lcore polls them. Public API only.
 *
 * As a secondary process (--proc-type=secondary) it finds the ports of another mif-lifecycle, and
 * polls them when told.
 *
 * A command is a line, so is its answer: "= ok [VALUE...] us=N" or "= error ERRNO us=N". Lines that
 * begin with '!' are link events.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "commands.h"
#include "events.h"
#include "poller.h"
#include "ports.h"

#define MBUFS 8191
#define CACHE 64

static struct rte_mempool *pool;

struct rte_mempool *
mbufs_pool(void)
{
	return pool;
}

unsigned int
mbufs_in_use(void)
{
	return rte_mempool_in_use_count(pool);
}

static bool
is_primary(void)
{
	return rte_eal_process_type() == RTE_PROC_PRIMARY;
}

static int
set_up(void)
{
	int ret;

	if (is_primary())
		pool = rte_pktmbuf_pool_create("lifecycle", MBUFS, CACHE, 0,
				RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	else
		pool = rte_mempool_lookup("lifecycle");
	if (pool == NULL) {
		fprintf(stderr, "mif-lifecycle: no memory for mbufs\n");
		return -1;
	}
	ports_init(pool);
	ret = events_init();
	if (ret == 0)
		ret = poller_start(pool);
	if (ret != 0)
		fprintf(stderr, "mif-lifecycle: %s; are there two lcores?\n", strerror(-ret));
	return ret;
}

static void
tear_down(void)
{
	for (uint16_t port = 0; port < RTE_MAX_ETHPORTS; port++) {
		if (!rte_eth_dev_is_valid_port(port))
			continue;
		/* A secondary polls ports that it has not started. */
		poller_remove(port);
		events_end(port);
		ports_close(port);
	}
	poller_stop();
}

int
main(int argc, char **argv)
{
	char line[1024];
	int ret = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (rte_eal_init(argc, argv) < 0) {
		fprintf(stderr, "mif-lifecycle: EAL does not start, see above\n");
		return 2;
	}
	if (set_up() != 0)
		return 2;
	printf("mif-lifecycle: ready\n");
	while (fgets(line, sizeof(line), stdin) != NULL && strcmp(line, "quit\n") != 0)
		run_command(line);
	tear_down();
	if (is_primary() && mbufs_in_use() != 0) {
		fprintf(stderr, "mif-lifecycle: %u mbufs leaked\n", mbufs_in_use());
		ret = 1;
	}
	return rte_eal_cleanup() == 0 ? ret : 1;
}

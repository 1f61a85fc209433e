/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * mif-traffic: proves about an ethdev port that all packets that were sent and not refused
 * arrive, once, in order per queue, byte for byte.
 */

#include <stdio.h>

#include <rte_eal.h>
#include <rte_ethdev.h>

#include "loop.h"
#include "mbufs.h"
#include "options.h"
#include "port.h"
#include "receiver.h"
#include "report.h"
#include "sender.h"

static struct options options;
static struct mbuf_maker maker;
static struct receiver receiver;
static struct traffic traffic;
static struct sender senders[MAX_QUEUES];

/* Everything that the program itself still holds goes back to the pools. */
static uint32_t
release_mbufs(void)
{
	uint16_t q;

	for (q = 0; q < options.txq; q++)
		sender_drop(&senders[q]);
	receiver_release_all(&receiver);
	return mbufs_reap(&maker);
}

/* When this end stops, the other one sees a disconnect: both count first. */
static void
wait_for_the_other_end(void)
{
	if (!options.wait_stdin)
		return;
	printf("mif-traffic: counted\n");
	loop_read_line();
}

static int
run(void)
{
	struct port_snapshot before_stop = { 0 }, after_stop = { 0 };
	struct port port;
	struct report rep = {
		.opt = &options,
		.port = &port,
		.maker = &maker,
		.traffic = &traffic,
		.before_stop = &before_stop,
		.after_stop = &after_stop,
		.mbufs_before = mbufs_in_use(&maker),
	};
	unsigned int problems;
	uint16_t q;

	if (port_start(&port, &options, maker.rx_pool) < 0) {
		port_close(&port);
		return -1;
	}
	printf("mif-traffic: started\n");
	for (q = 0; q < options.txq; q++)
		sender_init(&senders[q], &options, &maker, port.id, q);
	if (receiver_init(&receiver, &options, port.id) < 0) {
		port_close(&port);
		return -1;
	}
	traffic.opt = &options;
	traffic.port = &port;
	traffic.senders = senders;
	traffic.receiver = &receiver;
	loop_run(&traffic);

	rep.port_failed |= port_snapshot(&port, &before_stop) < 0;
	wait_for_the_other_end();
	rep.port_failed |= port_stop(&port) < 0;
	rep.port_failed |= port_snapshot(&port, &after_stop) < 0;
	rep.port_failed |= port_close(&port) < 0;
	rep.unreleased = release_mbufs();
	rep.mbufs_after = mbufs_in_use(&maker);
	problems = report_print(&rep);

	port_snapshot_free(&before_stop);
	port_snapshot_free(&after_stop);
	receiver_fini(&receiver);
	return problems ? -1 : 0;
}

int
main(int argc, char **argv)
{
	int ret;

	setvbuf(stdout, NULL, _IOLBF, 0);
	ret = rte_eal_init(argc, argv);
	if (ret < 0) {
		fprintf(stderr, "mif-traffic: EAL does not start, see above\n");
		return 2;
	}
	if (options_parse(argc - ret, argv + ret, &options) < 0) {
		rte_eal_cleanup();
		return 2;
	}
	if (mbufs_init(&maker, &options) < 0)
		ret = -1;
	else
		ret = run();
	mbufs_fini(&maker);
	rte_eal_cleanup();
	return ret < 0 ? 1 : 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */

/* The round trip of single packets between two processes, polling or woken by interrupts. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <rte_cycles.h>
#include <rte_interrupts.h>

#include "command.h"
#include "ethdev.h"
#include "packet.h"
#include "report.h"
#include "samples.h"
#include "sizes.h"
#include "stop.h"
#include "wait.h"

#define BURST 32
#define POOL_EXTRA 4096
#define DESCRIPTORS 1024

/* A sleep ends by itself after that long, so that a lost wake-up is seen and counted. */
#define SLEEP_MS 500

/* Polls between two looks at the clock and at the wish to end. */
#define LOOK_EVERY 1024

enum {
	PING,
	REFLECT
};

static const char *const modes[] = { "ping", "reflect", NULL };

static struct {
	uint64_t mode, count, gap_us, size;
	bool interrupt, hold;
	double seconds, timeout, wait;
	const char *json;
} options = {
	.count = 1000000,
	.size = 64,
	.seconds = 5,
	.timeout = 2,
	.wait = 20,
};

static const struct option_spec specs[] = {
	CHOICE_OPTION("mode", &options.mode, modes, "ping measures, reflect is its other end"),
	FLAG_OPTION("interrupt", &options.interrupt,
			"sleep until a receive interrupt instead of polling"),
	NUMBER_OPTION("count", &options.count, 1, 50000000, "round trips at most"),
	SECONDS_OPTION("seconds", &options.seconds,
			"at most; reflect stays until Ctrl-C or the link is down"),
	NUMBER_OPTION("gap", &options.gap_us, 0, 1000000,
			"microseconds between a reply and the next packet"),
	NUMBER_OPTION("size", &options.size, SIZE_SMALLEST, 1518, "bytes of a packet"),
	SECONDS_OPTION("timeout", &options.timeout, "after which a packet counts as lost"),
	SECONDS_OPTION("wait", &options.wait, "for the link"),
	FLAG_OPTION("hold", &options.hold,
			"in the end keep the ports, idle, until one more Ctrl-C"),
	TEXT_OPTION("json", &options.json, "file for the results"),
	END_OF_OPTIONS,
};

static struct {
	struct ports ports;
	struct rte_mempool *pool;
	struct samples samples;
	uint64_t sent, lost, strange;
	uint64_t sleeps;    /**< times that it went to sleep */
	uint64_t overslept; /**< of those, that no interrupt ended */
} state;

/* Ask for interrupts once and for all; they are then switched on for each sleep. */
static int
open_interrupts(uint16_t port)
{
	int ret = rte_eth_dev_rx_intr_ctl_q(port, 0, RTE_EPOLL_PER_THREAD, RTE_INTR_EVENT_ADD,
			NULL);

	if (ret != 0)
		fprintf(stderr, "dpdk-memif-perf: this driver gives no receive interrupts: %s\n",
				rte_strerror(-ret));
	return ret;
}

/* Sleep until a packet may be there. */
static int
sleep_for_packet(uint16_t port)
{
	struct rte_epoll_event event;
	int ret = rte_eth_dev_rx_intr_enable(port, 0);

	if (ret != 0) {
		fprintf(stderr, "dpdk-memif-perf: cannot switch receive interrupts on: %s\n",
				rte_strerror(-ret));
		stop_now();
		return ret;
	}
	state.sleeps++;
	if (rte_epoll_wait(RTE_EPOLL_PER_THREAD, &event, 1, SLEEP_MS) <= 0)
		state.overslept++;
	rte_eth_dev_rx_intr_disable(port, 0);
	return 0;
}

/* The next packets, or 0 when there is reason to look at clock and signals. */
static uint16_t
next_packets(uint16_t port, struct rte_mbuf **mbufs)
{
	uint16_t got;

	if (options.interrupt) {
		got = rte_eth_rx_burst(port, 0, mbufs, BURST);
		if (got != 0 || sleep_for_packet(port) != 0)
			return got;
		return rte_eth_rx_burst(port, 0, mbufs, BURST);
	}
	for (unsigned int i = 0; i < LOOK_EVERY; i++) {
		got = rte_eth_rx_burst(port, 0, mbufs, BURST);
		if (got != 0)
			return got;
	}
	return 0;
}

static void
send_all(uint16_t port, struct rte_mbuf **mbufs, uint16_t count)
{
	uint16_t sent = 0;

	do {
		sent = (uint16_t)(sent +
				rte_eth_tx_burst(port, 0, &mbufs[sent], (uint16_t)(count - sent)));
	} while (sent < count && !stop_wanted());
	if (sent < count)
		rte_pktmbuf_free_bulk(&mbufs[sent], (unsigned int)(count - sent));
}

static void
reflect(uint16_t port)
{
	struct rte_mbuf *mbufs[BURST];
	uint64_t packets = 0;
	uint16_t got;

	while (!stop_wanted()) {
		got = next_packets(port, mbufs);
		if (got != 0)
			send_all(port, mbufs, got);
		else if (!ethdev_link_up(state.ports.port[0].id))
			break;
		packets += got;
	}
	printf("%" PRIu64 " packets sent back, slept %" PRIu64 " times\n", packets, state.sleeps);
}

/* Look through what came for the packet that is awaited. */
static bool
is_there(struct rte_mbuf **mbufs, uint16_t count, uint64_t number)
{
	struct packet_stamp stamp;
	bool found = false;

	for (uint16_t i = 0; i < count; i++) {
		if (packet_read(mbufs[i], &stamp) && stamp.number == number)
			found = true;
		else
			state.strange++;
	}
	if (count != 0)
		packet_give_back(mbufs, count);
	return found;
}

/* One packet, there and back. */
static int
ping_once(uint16_t port, uint64_t number)
{
	struct wait_clock clock = wait_begin(options.timeout);
	struct rte_mbuf *mbufs[BURST];
	uint64_t begin, end;
	uint16_t got;

	if (!packet_take(state.pool, mbufs, 1)) {
		fprintf(stderr, "dpdk-memif-perf: no packet left in the pool\n");
		return -ENOMEM;
	}
	packet_set(mbufs[0], (uint16_t)options.size);
	packet_stamp(mbufs[0], 0, number);
	state.sent++;
	begin = rte_rdtsc_precise();
	send_all(port, mbufs, 1);
	do {
		got = next_packets(port, mbufs);
		end = rte_rdtsc_precise();
		if (is_there(mbufs, got, number)) {
			samples_add(&state.samples, end - begin);
			return 0;
		}
	} while (!stop_wanted() && !wait_is_over(&clock));
	state.lost += !stop_wanted();
	return 0;
}

static void
report_progress(void)
{
	const struct samples *samples = &state.samples;
	uint64_t last = samples->count == 0 ? 0 : samples->cycles[samples->count - 1];

	printf("%" PRIu64 " round trips, the last one %.3f us, %" PRIu64 " lost\n", samples->count,
			(double)last * 1e6 / (double)rte_get_tsc_hz(), state.lost);
}

static void
ping(uint16_t port)
{
	struct wait_clock clock = wait_begin(options.seconds);
	struct wait_clock line = wait_begin(1);

	for (uint64_t i = 0; i < options.count && !stop_wanted(); i++) {
		if (ping_once(port, i) != 0 || wait_is_over(&clock))
			break;
		if (options.gap_us != 0)
			usleep((useconds_t)options.gap_us);
		if (!wait_is_over(&line))
			continue;
		wait_again(&line);
		report_progress();
	}
}

static int
report(void)
{
	static const struct {
		const char *column;
		double share;
	} columns[] = {
		{ "min", 0 },
		{ "p50", 0.5 },
		{ "p90", 0.9 },
		{ "p99", 0.99 },
		{ "p99.9", 0.999 },
		{ "p99.99", 0.9999 },
		{ "max", 1 },
	};
	double us = 1e6 / (double)rte_get_tsc_hz();
	struct table table;
	const struct table *tables[] = { &table };
	int ret;

	if (state.samples.count == 0) {
		fprintf(stderr,
				"dpdk-memif-perf: no packet came back; is 'latency --mode reflect' "
				"at the other end?\n");
		return -ENODATA;
	}
	samples_sort(&state.samples);
	table_init(&table, "result");
	table_row(&table);
	table_text(&table, "mode", options.interrupt ? "interrupt" : "polling");
	table_number(&table, "round_trips", (double)state.samples.count, 0);
	table_number(&table, "lost", (double)state.lost, 0);
	table_number(&table, "strange", (double)state.strange, 0);
	table_number(&table, "sleeps", (double)state.sleeps, 0);
	table_number(&table, "overslept", (double)state.overslept, 0);
	for (unsigned int i = 0; i < RTE_DIM(columns); i++)
		table_number(&table, columns[i].column,
				(double)samples_percentile(&state.samples, columns[i].share) * us,
				3);
	table_number(&table, "mean", samples_mean(&state.samples) * us, 3);
	printf("\nmicroseconds from sending a packet to having it back:\n");
	table_print(&table);
	ret = report_write(options.json, "latency", &state.ports, tables, RTE_DIM(tables));
	table_free(&table);
	return ret;
}

static int
measure(void)
{
	uint16_t port = state.ports.port[0].id;
	int ret = options.interrupt ? open_interrupts(port) : 0;

	if (ret != 0)
		return ret;
	if (options.mode == REFLECT) {
		reflect(port);
	} else {
		ping(port);
		ret = report();
	}
	if (ret == 0 && options.hold)
		stop_hold();
	return ret;
}

static int
open_ports(void)
{
	struct ports_cfg cfg = {
		.queues = 1,
		.descriptors = DESCRIPTORS,
		.interrupts = options.interrupt,
		/* What is reflected comes from the other pool. */
		.fast_free = options.mode == PING,
	};
	int ret;

	state.pool = packet_pool("tx", DESCRIPTORS + POOL_EXTRA, 0);
	cfg.pool = packet_pool("rx", 2 * DESCRIPTORS + POOL_EXTRA, 0);
	if (state.pool == NULL || cfg.pool == NULL)
		return -ENOMEM;
	ret = ports_open(&state.ports, &cfg);
	if (ret != 0)
		return ret;
	if (state.ports.count != 1) {
		fprintf(stderr, "dpdk-memif-perf: latency wants one port, there are %u\n",
				state.ports.count);
		return -EINVAL;
	}
	ret = ports_start(&state.ports);
	return ret != 0 ? ret : ports_wait_up(&state.ports, options.wait);
}

static int
run(void)
{
	int ret;

	if (report_check(options.json) != 0)
		return EXIT_FAILURE;
	if (samples_init(&state.samples, options.count) != 0) {
		fprintf(stderr, "dpdk-memif-perf: no memory for --count %" PRIu64 " samples\n",
				options.count);
		return EXIT_FAILURE;
	}
	wait_precisely();
	ret = open_ports();
	if (ret == 0)
		ret = measure();
	ports_close(&state.ports);
	samples_free(&state.samples);
	return ret == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

const struct command command_latency = {
	.name = "latency",
	.summary = "round trip of single packets, between a ping and a reflect process",
	.options = specs,
	.run = run,
};

/* SPDX-License-Identifier: BSD-3-Clause */

/* What it costs to poll ports on which nothing comes. */

#include <stdio.h>
#include <stdlib.h>
#include <rte_cycles.h>

#include "command.h"
#include "packet.h"
#include "report.h"
#include "samples.h"
#include "stop.h"
#include "wait.h"

#define BURST 32

/* Polls of a batch, whatever the number of ports: the clock is read around each batch. */
#define BATCH_POLLS 4096

#define BATCHES_MAX 1000000

static struct {
	uint64_t mbufs, descriptors;
	bool no_link;
	double seconds, wait;
	const char *json;
} options = {
	.mbufs = 4096,
	.descriptors = 1024,
	.seconds = 1,
	.wait = 20,
};

static const struct option_spec specs[] = {
	SECONDS_OPTION("seconds", &options.seconds, "for each number of ports"),
	FLAG_OPTION("no-link", &options.no_link,
			"do not wait for the links: measure ports without a peer"),
	NUMBER_OPTION("mbufs", &options.mbufs, 512, UINT32_MAX / 2, "of the pool"),
	NUMBER_OPTION("descriptors", &options.descriptors, 1, UINT16_MAX,
			"of each queue; memif goes by rsize instead"),
	SECONDS_OPTION("wait", &options.wait, "for the links"),
	TEXT_OPTION("json", &options.json, "file for the results"),
	END_OF_OPTIONS,
};

static struct {
	struct ports ports;
	struct samples samples; /**< cycles of batches */
	struct table table;
	uint64_t packets; /**< that came in nevertheless */
} state;

/* Poll the first so many ports in turn. */
static uint64_t
poll_batch(uint16_t count)
{
	struct rte_mbuf *mbufs[BURST];
	unsigned int rounds = BATCH_POLLS / count;
	uint64_t begin = rte_rdtsc_precise();
	uint16_t got;

	for (unsigned int round = 0; round < rounds; round++) {
		for (uint16_t i = 0; i < count; i++) {
			got = rte_eth_rx_burst(state.ports.port[i].id, 0, mbufs, BURST);
			if (unlikely(got != 0)) {
				state.packets += got;
				rte_pktmbuf_free_bulk(mbufs, got);
			}
		}
	}
	return rte_rdtsc_precise() - begin;
}

static void
measure(uint16_t count)
{
	double polls = (double)(BATCH_POLLS / count) * count;
	struct wait_clock clock = wait_begin(options.seconds);

	poll_batch(count);
	state.samples.count = 0;
	do {
		samples_add(&state.samples, poll_batch(count));
	} while (!wait_is_over(&clock) && !stop_wanted());
	samples_sort(&state.samples);
	table_row(&state.table);
	table_number(&state.table, "ports", count, 0);
	table_number(&state.table, "cycles_per_poll",
			(double)samples_percentile(&state.samples, 0.5) / polls, 2);
	table_number(&state.table, "min", (double)samples_percentile(&state.samples, 0) / polls, 2);
	table_number(&state.table, "p99", (double)samples_percentile(&state.samples, 0.99) / polls,
			2);
	table_number(&state.table, "ns_per_round",
			(double)samples_percentile(&state.samples, 0.5) / polls * count * 1e9 /
					(double)rte_get_tsc_hz(),
			1);
	printf("%u port%s: %s cycles per empty poll\n", count, count == 1 ? "" : "s",
			state.table.row[state.table.rows - 1][1].text);
}

static int
measure_all(void)
{
	const struct table *tables[] = { &state.table };
	uint16_t count = 1;

	for (;;) {
		measure(count);
		if (count == state.ports.count || stop_wanted())
			break;
		count = (uint16_t)RTE_MIN(count * 2, (int)state.ports.count);
	}
	if (state.packets != 0)
		printf("note: %llu packets came in, so not all polls were empty\n",
				(unsigned long long)state.packets);
	printf("\n");
	table_print(&state.table);
	return report_write(options.json, "idle", &state.ports, tables, RTE_DIM(tables));
}

static int
run_ports(void)
{
	struct ports_cfg cfg = {
		.queues = 1,
		.descriptors = (uint16_t)options.descriptors,
		.pool = packet_pool("rx", options.mbufs, 0),
	};
	int ret;

	if (cfg.pool == NULL)
		return -1;
	ret = ports_open(&state.ports, &cfg);
	if (ret == 0)
		ret = ports_start(&state.ports);
	if (ret == 0 && !options.no_link)
		ret = ports_wait_up(&state.ports, options.wait);
	return ret == 0 ? measure_all() : ret;
}

static int
run(void)
{
	int ret;

	if (report_check(options.json) != 0)
		return EXIT_FAILURE;
	if (samples_init(&state.samples, BATCHES_MAX) != 0) {
		fprintf(stderr, "dpdk-memif-perf: no memory for the samples\n");
		return EXIT_FAILURE;
	}
	table_init(&state.table, "result");
	ret = run_ports();
	ports_close(&state.ports);
	table_free(&state.table);
	samples_free(&state.samples);
	return ret == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

const struct command command_idle = {
	.name = "idle",
	.summary = "cycles of an empty poll, with 1, 2, 4, ... of the ports",
	.options = specs,
	.run = run,
};

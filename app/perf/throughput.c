/* SPDX-License-Identifier: BSD-3-Clause */

/* Packets per second, one way or both ways, over all ports and queues. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <rte_cycles.h>
#include <rte_launch.h>
#include <rte_lcore.h>

#include "command.h"
#include "flow.h"
#include "packet.h"
#include "report.h"
#include "stop.h"
#include "wait.h"

/* How often the counters are looked at while nothing has to be reported. */
#define LOOK_US 10000

static const char *const modes[] = {
	[FLOW_TX] = "tx",
	[FLOW_RX] = "rx",
	[FLOW_BOTH] = "both",
	[FLOW_IO] = "io",
	NULL,
};

static struct {
	uint64_t mode, burst, queues, descriptors, mbufs, inject;
	bool check, hold;
	double seconds, warmup, interval, wait;
	const char *size, *json;
} options = {
	.burst = 32,
	.queues = 1,
	.descriptors = 1024,
	.seconds = 3,
	.warmup = 0.5,
	.interval = 1,
	.wait = 20,
	.size = "64",
};

static const struct option_spec specs[] = {
	CHOICE_OPTION("mode", &options.mode, modes,
			"tx, rx, both, or io: send back what is received"),
	TEXT_OPTION("size", &options.size, "packets to send: bytes, imix, or bytes:weight,..."),
	NUMBER_OPTION("burst", &options.burst, 1, FLOW_BURST_MAX, "packets of a burst"),
	NUMBER_OPTION("queues", &options.queues, 1, 255, "pairs of queues of each port"),
	NUMBER_OPTION("descriptors", &options.descriptors, 1, UINT16_MAX,
			"of each queue; memif goes by rsize instead"),
	NUMBER_OPTION("mbufs", &options.mbufs, 0, UINT32_MAX / 2,
			"of each of the two pools; 0: enough for all rings"),
	FLAG_OPTION("check", &options.check,
			"number packets sent, check those received; at both ends"),
	NUMBER_OPTION("inject", &options.inject, 0, 1024,
			"mode io: bursts to begin with, on each queue"),
	SECONDS_OPTION("seconds", &options.seconds,
			"to measure; 0: until Ctrl-C or the links are down"),
	SECONDS_OPTION("warmup", &options.warmup, "between the first packet and the measurement"),
	SECONDS_OPTION("interval", &options.interval, "between two lines of progress"),
	SECONDS_OPTION("wait", &options.wait, "for links and for the first packet"),
	FLAG_OPTION("hold", &options.hold,
			"in the end keep the ports, idle, until one more Ctrl-C"),
	TEXT_OPTION("json", &options.json, "file for the results"),
	END_OF_OPTIONS,
};

/* What main and worker lcores share, and what is measured. */
static struct {
	struct ports ports;
	struct sizes sizes;
	struct flow_cfg cfg;
	struct flow *flow;
	unsigned int flows;
	struct flow_worker worker[RTE_MAX_LCORE];
	struct table progress, result, port_table;
} state;

/* Counters at a moment. */
struct moment {
	uint64_t tsc;
	struct flow_count count;
};

static struct moment
look(void)
{
	struct moment now = { 0 };

	for (unsigned int i = 0; i < state.flows; i++)
		flow_add(&now.count, &state.flow[i]);
	now.tsc = rte_rdtsc();
	return now;
}

static double
seconds_between(const struct moment *from, const struct moment *to)
{
	return (double)(to->tsc - from->tsc) / (double)rte_get_tsc_hz();
}

static int
open_ports(void)
{
	uint64_t mbufs = options.mbufs;
	uint64_t queues = options.queues * rte_eth_dev_count_avail();
	struct ports_cfg ports_cfg = {
		.queues = (uint16_t)options.queues,
		.descriptors = (uint16_t)options.descriptors,
		.frame = (uint16_t)state.sizes.largest,
		.fast_free = options.mode != FLOW_IO,
	};

	if (mbufs == 0)
		mbufs = queues * (options.descriptors * 2 + options.burst) + 4096;
	ports_cfg.pool = packet_pool("rx", mbufs, state.sizes.largest);
	if (ports_cfg.pool == NULL)
		return -ENOMEM;
	state.cfg = (struct flow_cfg){
		.mode = (enum flow_mode)options.mode,
		.check = options.check,
		.burst = (uint16_t)options.burst,
		.sizes = &state.sizes,
		.inject = (uint16_t)options.inject,
		.pool = ports_cfg.pool,
	};
	if (options.mode == FLOW_TX || options.mode == FLOW_BOTH)
		state.cfg.pool = packet_pool("tx", mbufs, state.sizes.largest);
	if (state.cfg.pool == NULL)
		return -ENOMEM;
	return ports_open(&state.ports, &ports_cfg);
}

static int
make_flows(void)
{
	struct flow *flow;
	size_t size;

	state.flows = (unsigned int)(state.ports.count * options.queues);
	size = state.flows * sizeof(*state.flow);
	state.flow = aligned_alloc(_Alignof(struct flow), size);
	if (state.flow == NULL)
		return -ENOMEM;
	memset(state.flow, 0, size);
	for (unsigned int i = 0; i < state.flows; i++) {
		flow = &state.flow[i];
		flow->port = state.ports.port[i / options.queues].id;
		flow->queue = (uint16_t)(i % options.queues);
	}
	return 0;
}

/* Flow i goes to worker i modulo their number. */
static int
launch_workers(void)
{
	unsigned int workers = rte_lcore_count() - 1;
	unsigned int lcore, number = 0;
	struct flow_worker *worker;

	RTE_LCORE_FOREACH_WORKER(lcore) {
		worker = &state.worker[number];
		worker->cfg = &state.cfg;
		worker->flow = calloc(state.flows, sizeof(struct flow *));
		if (worker->flow == NULL)
			return -ENOMEM;
		for (unsigned int i = number; i < state.flows; i += workers)
			worker->flow[worker->count++] = &state.flow[i];
		rte_eal_remote_launch(flow_run, worker, lcore);
		number++;
	}
	return 0;
}

static void
end_workers(void)
{
	stop_now();
	rte_eal_mp_wait_lcore();
	for (unsigned int i = 0; i < RTE_MAX_LCORE; i++)
		free(state.worker[i].flow);
	for (unsigned int i = 0; i < state.flows; i++)
		flow_drop_pending(&state.flow[i]);
}

static void
add_rates(struct table *table, const struct moment *from, const struct moment *to)
{
	double seconds = seconds_between(from, to);
	double tx_bytes = (double)(sizes_bytes(&state.sizes, to->count.tx) -
			sizes_bytes(&state.sizes, from->count.tx));

	table_number(table, "tx_mpps", (double)(to->count.tx - from->count.tx) / seconds / 1e6, 3);
	/* What is sent back has the sizes of the other end. */
	if (options.mode == FLOW_IO)
		tx_bytes = 0;
	table_number(table, "tx_gbps", tx_bytes * 8 / seconds / 1e9, 3);
	table_number(table, "rx_mpps", (double)(to->count.rx - from->count.rx) / seconds / 1e6, 3);
	table_number(table, "rx_gbps",
			(double)(to->count.rx_bytes - from->count.rx_bytes) * 8 / seconds / 1e9, 3);
}

static void
report_progress(const struct moment *begin, const struct moment *from, const struct moment *to)
{
	const struct cell *cells;

	table_row(&state.progress);
	table_number(&state.progress, "second", seconds_between(begin, to), 1);
	add_rates(&state.progress, from, to);
	cells = state.progress.row[state.progress.rows - 1];
	printf("%7s s   tx %8s Mpps %8s Gbit/s   rx %8s Mpps %8s Gbit/s\n", cells[0].text,
			cells[1].text, cells[2].text, cells[3].text, cells[4].text);
}

static int
wait_for_first_packet(void)
{
	struct wait_clock clock = wait_begin(options.wait);
	struct moment now;

	for (;;) {
		now = look();
		if (now.count.tx != 0 || now.count.rx != 0)
			break;
		if (stop_wanted())
			return -EINTR;
		if (wait_is_over(&clock)) {
			fprintf(stderr, "dpdk-memif-perf: no packet moved within %g s\n",
					options.wait);
			return -ETIMEDOUT;
		}
		usleep(LOOK_US);
	}
	wait_sleep(options.warmup);
	return 0;
}

static bool
is_over(const struct wait_clock *clock)
{
	if (stop_wanted())
		return true;
	if (options.seconds > 0)
		return wait_is_over(clock);
	return ports_up(&state.ports) == 0;
}

static void
measure(struct moment *begin, struct moment *end)
{
	struct wait_clock clock, line;
	struct moment before;

	*begin = look();
	before = *begin;
	clock = wait_begin(options.seconds);
	line = wait_begin(options.interval);
	while (!is_over(&clock)) {
		usleep(LOOK_US);
		if (options.interval > 0 && wait_is_over(&line)) {
			*end = look();
			report_progress(begin, &before, end);
			before = *end;
			wait_again(&line);
		}
	}
	*end = look();
}

/* What happened at each port; the driver's own counters beside ours. */
static void
report_ports(void)
{
	struct rte_eth_stats stats;
	struct flow_count count;

	for (uint16_t i = 0; i < state.ports.count; i++) {
		memset(&count, 0, sizeof(count));
		for (unsigned int f = 0; f < state.flows; f++)
			if (state.flow[f].port == state.ports.port[i].id)
				flow_add(&count, &state.flow[f]);
		if (rte_eth_stats_get(state.ports.port[i].id, &stats) != 0)
			memset(&stats, 0, sizeof(stats));
		table_row(&state.port_table);
		table_text(&state.port_table, "port", state.ports.port[i].name);
		table_number(&state.port_table, "tx", (double)count.tx, 0);
		table_number(&state.port_table, "rx", (double)count.rx, 0);
		table_number(&state.port_table, "opackets", (double)stats.opackets, 0);
		table_number(&state.port_table, "ipackets", (double)stats.ipackets, 0);
		table_number(&state.port_table, "imissed", (double)stats.imissed, 0);
		table_number(&state.port_table, "ierrors", (double)stats.ierrors, 0);
		table_number(&state.port_table, "oerrors", (double)stats.oerrors, 0);
		table_number(&state.port_table, "rx_nombuf", (double)stats.rx_nombuf, 0);
	}
}

static void
report_result(const struct moment *begin, const struct moment *end)
{
	/* The numbers are checked from the first packet to the last. */
	const struct flow_count all = look().count;
	struct table *table = &state.result;

	table_row(table);
	table_text(table, "mode", modes[options.mode]);
	table_text(table, "size", options.mode == FLOW_RX ? "any" : options.size);
	table_number(table, "seconds", seconds_between(begin, end), 2);
	add_rates(table, begin, end);
	table_number(table, "rx_empty", (double)(end->count.rx_empty - begin->count.rx_empty), 0);
	table_number(table, "tx_short", (double)(end->count.tx_short - begin->count.tx_short), 0);
	table_number(table, "dropped", (double)(end->count.dropped - begin->count.dropped), 0);
	table_number(table, "no_mbuf", (double)(end->count.no_mbuf - begin->count.no_mbuf), 0);
	if (options.check) {
		table_number(table, "lost", (double)all.lost, 0);
		table_number(table, "repeated", (double)all.repeated, 0);
		table_number(table, "broken", (double)all.broken, 0);
	}
}

static int
report(const struct moment *begin, const struct moment *end)
{
	const struct table *tables[] = { &state.result, &state.port_table, &state.progress };
	struct flow_count all = look().count;
	int ret;

	report_ports();
	report_result(begin, end);
	printf("\n");
	table_print(&state.result);
	printf("\n");
	table_print(&state.port_table);
	ret = report_write(options.json, "throughput", &state.ports, tables, RTE_DIM(tables));
	if (!options.check || options.mode == FLOW_TX)
		return ret;
	if (all.lost + all.repeated + all.broken == 0) {
		printf("\n%llu packets checked: all in order, none missing\n",
				(unsigned long long)all.rx);
		return ret;
	}
	fprintf(stderr, "dpdk-memif-perf: WRONG: packets were lost, repeated or broken, see above\n");
	return -EBADMSG;
}

static int
move_packets(void)
{
	struct moment begin, end;
	int ret = launch_workers();

	if (ret == 0)
		ret = wait_for_first_packet();
	if (ret == 0)
		measure(&begin, &end);
	end_workers();
	if (ret == 0)
		ret = report(&begin, &end);
	if (ret == 0 && options.hold)
		stop_hold();
	return ret;
}

static int
run_ports(void)
{
	int ret = open_ports();

	if (ret == 0)
		ret = make_flows();
	if (ret == 0)
		ret = ports_start(&state.ports);
	if (ret == 0)
		ret = ports_wait_up(&state.ports, options.wait);
	return ret == 0 ? move_packets() : ret;
}

static int
run(void)
{
	int ret;

	if (sizes_parse(&state.sizes, options.size) != 0 || report_check(options.json) != 0)
		return EXIT_FAILURE;
	if (rte_lcore_count() < 2) {
		fprintf(stderr,
				"dpdk-memif-perf: one lcore reports and the others move packets: "
				"give EAL two or more; they may share a CPU, as --lcores 0@1,1@1\n");
		return EXIT_FAILURE;
	}
	if (options.check && options.mode == FLOW_IO) {
		fprintf(stderr, "dpdk-memif-perf: --check does not go with --mode io\n");
		return EXIT_FAILURE;
	}
	table_init(&state.progress, "progress");
	table_init(&state.result, "result");
	table_init(&state.port_table, "per_port");
	ret = run_ports();
	ports_close(&state.ports);
	free(state.flow);
	table_free(&state.progress);
	table_free(&state.result);
	table_free(&state.port_table);
	return ret == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

const struct command command_throughput = {
	.name = "throughput",
	.summary = "packets per second: tx, rx, both ways, or sent back and forth",
	.options = specs,
	.run = run,
};

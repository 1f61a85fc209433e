/* SPDX-License-Identifier: BSD-3-Clause */

/* How long it takes from the start of a port to its link, again and again. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <rte_cycles.h>

#include "command.h"
#include "ethdev.h"
#include "packet.h"
#include "report.h"
#include "samples.h"
#include "stop.h"
#include "wait.h"

/* The control thread may share our CPU: sleep between two looks at the link. */
#define LOOK_US 10

static struct {
	uint64_t count, queues, descriptors, mbufs;
	double timeout, seconds;
	const char *json;
} options = {
	.count = 200,
	.queues = 1,
	.descriptors = 1024,
	.mbufs = 4096,
	.timeout = 10,
	.seconds = 30,
};

static const struct option_spec specs[] = {
	NUMBER_OPTION("count", &options.count, 1, 1000000, "starts at most"),
	SECONDS_OPTION("seconds", &options.seconds, "at most"),
	SECONDS_OPTION("timeout", &options.timeout,
			"after which a link counts as failed, and the command ends"),
	NUMBER_OPTION("queues", &options.queues, 1, 255, "pairs of queues"),
	NUMBER_OPTION("mbufs", &options.mbufs, 512, UINT32_MAX / 2, "of the pool"),
	NUMBER_OPTION("descriptors", &options.descriptors, 1, UINT16_MAX,
			"of each queue; memif goes by rsize instead"),
	TEXT_OPTION("json", &options.json, "file for the results"),
	END_OF_OPTIONS,
};

static struct {
	struct ports ports;
	struct samples samples; /**< cycles from start to link */
	uint64_t stopping;	/**< cycles that all stops took */
	double seconds;
} state;

static int
connect_once(struct port *port)
{
	struct wait_clock clock = wait_begin(options.timeout);
	uint64_t begin = rte_rdtsc();
	int ret = port_start(port);

	if (ret != 0)
		return ret;
	while (!ethdev_link_up(port->id)) {
		if (stop_wanted())
			return -EINTR;
		if (wait_is_over(&clock)) {
			fprintf(stderr,
					"dpdk-memif-perf: start %" PRIu64
					": no link after %g s; is "
					"'hold' at the other end?\n",
					state.samples.count + 1, options.timeout);
			return -ETIMEDOUT;
		}
		usleep(LOOK_US);
	}
	samples_add(&state.samples, rte_rdtsc() - begin);
	begin = rte_rdtsc();
	ret = port_stop(port);
	state.stopping += rte_rdtsc() - begin;
	return ret;
}

static int
measure(struct port *port)
{
	struct wait_clock clock = wait_begin(options.seconds);
	struct wait_clock line = wait_begin(1);
	uint64_t begin = rte_rdtsc();
	int ret = 0;

	printf("starting and stopping %s\n", port->name);
	while (ret == 0 && state.samples.count < options.count && !stop_wanted() &&
			!wait_is_over(&clock)) {
		ret = connect_once(port);
		if (wait_is_over(&line)) {
			printf("%" PRIu64 " connections\n", state.samples.count);
			wait_again(&line);
		}
	}
	state.seconds = (double)(rte_rdtsc() - begin) / (double)rte_get_tsc_hz();
	return ret == -EINTR ? 0 : ret;
}

static int
report(void)
{
	static const struct {
		const char *column;
		double share;
	} columns[] = { { "min", 0 }, { "p50", 0.5 }, { "p99", 0.99 }, { "max", 1 } };
	double us = 1e6 / (double)rte_get_tsc_hz();
	double count = (double)state.samples.count;
	double first;
	struct table table;
	const struct table *tables[] = { &table };
	int ret;

	if (state.samples.count == 0)
		return -ENODATA;
	first = (double)state.samples.cycles[0] * us;
	samples_sort(&state.samples);
	table_init(&table, "result");
	table_row(&table);
	table_number(&table, "connections", count, 0);
	table_number(&table, "per_second", count / state.seconds, 1);
	table_number(&table, "first", first, 0);
	for (unsigned int i = 0; i < RTE_DIM(columns); i++)
		table_number(&table, columns[i].column,
				(double)samples_percentile(&state.samples, columns[i].share) * us,
				0);
	table_number(&table, "stop_mean", (double)state.stopping * us / count, 0);
	printf("\nmicroseconds from the start of the port to its link:\n");
	table_print(&table);
	ret = report_write(options.json, "connect", &state.ports, tables, RTE_DIM(tables));
	table_free(&table);
	return ret;
}

static int
run_ports(void)
{
	struct ports_cfg cfg = {
		.queues = (uint16_t)options.queues,
		.descriptors = (uint16_t)options.descriptors,
		.pool = packet_pool("rx", options.mbufs, 0),
	};
	int ret;

	if (cfg.pool == NULL)
		return -ENOMEM;
	ret = ports_open(&state.ports, &cfg);
	if (ret == 0 && state.ports.count != 1) {
		fprintf(stderr, "dpdk-memif-perf: connect wants one port, there are %u\n",
				state.ports.count);
		ret = -EINVAL;
	}
	if (ret == 0)
		ret = measure(&state.ports.port[0]);
	return ret == 0 ? report() : ret;
}

static int
run(void)
{
	int ret;

	if (report_check(options.json) != 0 || samples_init(&state.samples, options.count) != 0)
		return EXIT_FAILURE;
	wait_precisely();
	ret = run_ports();
	ports_close(&state.ports);
	samples_free(&state.samples);
	return ret == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

const struct command command_connect = {
	.name = "connect",
	.summary = "time from the start of a port to its link, connections per second",
	.options = specs,
	.run = run,
};

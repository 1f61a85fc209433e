/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * dpdk-memif-fwd: joins a network port to memif ports, for selected flows, and to the kernel, for
 * the rest.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_lcore.h>

#include "kernel.h"
#include "ports.h"
#include "report.h"
#include "stop.h"
#include "worker.h"

/* How often the main lcore looks whether it is time to end, or for a table. */
#define LOOK_US 10000

const char program_name[] = "dpdk-memif-fwd";

/* Large, and telemetry reads it until EAL is cleaned up. */
static struct fwd fwd;

static void
print_usage(void)
{
	printf("%s [EAL options] -- [options]\n"
	       "The network port comes from an EAL option (-a, --vdev); the others are made.\n",
			program_name);
	options_print(config_options);
}

static void
print_ports(void)
{
	char label[32];

	for (unsigned int place = 0; place < fwd.ports; place++) {
		fwd_label(&fwd, place, label, sizeof(label));
		printf("%-10s %s, %u queues\n", label, fwd.port[place].name,
				fwd.port[place].queues);
	}
}

/* Which receive queues a core has, as "core 1: network/0 memif 0/0". */
static void
print_queues(void)
{
	const struct worker *worker = fwd.worker;
	unsigned int lcore;
	char label[32];

	RTE_LCORE_FOREACH_WORKER(lcore) {
		printf("core %u:", lcore);
		for (unsigned int i = 0; i < worker->sources; i++) {
			fwd_label(&fwd, worker->source[i].place, label, sizeof(label));
			printf(" %s/%u", label, worker->source[i].queue);
		}
		printf("\n");
		worker++;
	}
}

static void
forward(void)
{
	uint64_t period = (uint64_t)(fwd.config.interval * (double)rte_get_tsc_hz());
	uint64_t last = rte_rdtsc();

	print_queues();
	workers_start(&fwd);
	printf("forwarding on %u cores\n", fwd.workers);
	report_table(&fwd);
	while (!stop_wanted()) {
		usleep(LOOK_US);
		if (period == 0 || rte_rdtsc() - last < period)
			continue;
		last += period;
		report_table(&fwd);
	}
	workers_end();
	report_totals(&fwd);
}

static int
run(void)
{
	int ret;

	fwd.workers = rte_lcore_count() - 1;
	if (fwd.workers == 0) {
		fprintf(stderr,
				"%s: the main core only watches, so there have to be two: -l 0,1, or "
				"on one CPU --lcores 0@0,1@0\n",
				program_name);
		return EXIT_FAILURE;
	}
	steer_init(&fwd.steer, (unsigned int)fwd.config.memifs);
	ret = ports_open(&fwd);
	if (ret == 0)
		ret = workers_make(&fwd);
	if (ret == 0)
		ret = kernel_set_up(&fwd);
	if (ret == 0)
		ret = report_telemetry(&fwd);
	if (ret == 0) {
		print_ports();
		forward();
	}
	workers_free(&fwd);
	ports_close(&fwd);
	return ret == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int
main(int argc, char **argv)
{
	int used, ret, status = EXIT_FAILURE;

	setvbuf(stdout, NULL, _IOLBF, 0);
	/* EAL has a --help of its own. */
	if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		print_usage();
		return argc < 2 ? EXIT_FAILURE : EXIT_SUCCESS;
	}
	used = rte_eal_init(argc, argv);
	if (used < 0) {
		fprintf(stderr, "%s: EAL does not start, see above\n", program_name);
		return EXIT_FAILURE;
	}
	stop_on_signals();
	ret = config_parse(&fwd.config, argc - used, argv + used);
	if (ret > 0) {
		print_usage();
		status = EXIT_SUCCESS;
	} else if (ret == 0) {
		status = run();
	}
	rte_eal_cleanup();
	return status;
}

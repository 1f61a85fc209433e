/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Everything at once, under the thread sanitizer: bursts on some threads, while others start, stop,
 * attach, detach, read counters, ask for interrupts, hang up. A report of the sanitizer makes the
 * program fail by itself; what is checked here is that something has happened, and that nothing is
 * left.
 */

#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <rte_cycles.h>
#include <rte_eal.h>

#include "mappings.h"
#include "ports.h"
#include "threads.h"

#define PATIENCE_MS 10000

/* The driver has no pipes; the sanitizer talks through them to the program that names functions. */
static unsigned int
count_files(void)
{
	const struct dirent *entry;
	unsigned int count = 0;
	char target[64];
	DIR *folder = opendir("/proc/self/fd");

	CHECK(folder != NULL);
	while ((entry = readdir(folder)) != NULL) {
		memset(target, 0, sizeof(target));
		if (readlinkat(dirfd(folder), entry->d_name, target, sizeof(target) - 1) > 0)
			count += strncmp(target, "pipe:", 5) != 0;
	}
	closedir(folder);
	return count;
}

static void
init_eal(char *program)
{
	char lcores[] = "--lcores=0", no_huge[] = "--no-huge", no_conf[] = "--no-shconf";
	char memory[] = "-m128", no_pci[] = "--no-pci", no_telemetry[] = "--no-telemetry";
	char level[] = "--log-level=4", prefix[64], folder[96];
	/* Named, it is the only plugin that is loaded: not all that are installed. */
	char plugin[] = "-dlibrte_mempool_ring.so";
	char *args[] = { program, lcores, no_huge, no_conf, memory, no_pci, no_telemetry, level,
		plugin, prefix };
	cpu_set_t cpus;

	snprintf(prefix, sizeof(prefix), "--file-prefix=mif-tsan-%d", getpid());
	/* EAL pins this thread, and those that it will start would be on the same core. */
	CHECK(sched_getaffinity(0, sizeof(cpus), &cpus) == 0);
	CHECK(rte_eal_init(RTE_DIM(args), args) >= 0);
	CHECK(sched_setaffinity(0, sizeof(cpus), &cpus) == 0);
	/* Even with --no-shconf EAL makes a folder. */
	snprintf(folder, sizeof(folder), "/var/run/dpdk/%s", strchr(prefix, '=') + 1);
	rmdir(folder);
}

static bool
is_up(const struct port *port)
{
	struct rte_eth_link link;

	return rte_eth_link_get_nowait(port->id, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

/* After all that, each pair finds together again by itself. */
static void
wait_for_links(void)
{
	for (unsigned int i = 0; i < PORTS; i++) {
		for (int ms = 0; !is_up(&ports[i]); ms++) {
			CHECK(ms < PATIENCE_MS);
			rte_delay_us_sleep(1000);
		}
	}
}

static void
attach_missing(uint32_t seed)
{
	for (unsigned int i = 0; i < PORTS; i++) {
		pthread_rwlock_wrlock(&ports[i].life);
		if (!ports[i].attached)
			ports_attach(&ports[i], &seed);
		pthread_rwlock_unlock(&ports[i].life);
	}
}

static void
print_tally(void)
{
	printf("received %llu, sent %llu, link events %llu (%llu that restart or detach), restarts "
	       "%llu, attached %llu, interrupts %llu, reads %llu, hang-ups %llu\n",
			tally.received, tally.sent, tally.link_events, tally.from_callback,
			tally.restarts, tally.attaches, tally.interrupts, tally.reads,
			tally.hang_ups);
	fflush(stdout);
}

/* Low, for a machine that is busy; but nothing may be missing. */
static void
check_tally(void)
{
	CHECK(tally.received > 1000);
	CHECK(tally.sent > 1000);
	CHECK(tally.link_events > 20);
	CHECK(tally.from_callback > 0);
	CHECK(tally.restarts > 5);
	CHECK(tally.attaches > PORTS);
	CHECK(tally.interrupts > 20);
	CHECK(tally.reads > 20);
	CHECK(tally.hang_ups > 5);
	CHECK(mappings_shared() > PORTS);
}

int
main(int argc, char **argv)
{
	unsigned int seconds = argc > 1 ? (unsigned int)atoi(argv[1]) : 6;
	uint32_t seed = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 0) : 4711;
	unsigned int files;

	if (argc > 3 || seconds == 0) {
		fprintf(stderr, "usage: %s [SECONDS [SEED]]\n", argv[0]);
		return 2;
	}
	init_eal(argv[0]);
	ports_init();
	files = count_files();
	attach_missing(seed);
	threads_run(seed, seconds);
	ports_calm_down();
	attach_missing(seed);
	wait_for_links();
	print_tally();
	for (unsigned int i = 0; i < PORTS; i++) {
		pthread_rwlock_wrlock(&ports[i].life);
		if (ports[i].attached)
			ports_detach(&ports[i]);
		pthread_rwlock_unlock(&ports[i].life);
	}
	/* A control thread that nobody has joined, as it ran a callback, may still be at its end. */
	for (int ms = 0; count_files() != files; ms++) {
		CHECK(ms < PATIENCE_MS);
		rte_delay_us_sleep(1000);
	}
	check_tally();
	return 0;
}

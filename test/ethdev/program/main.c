/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * mif-ethdev: asks a net_memif port what applications ask of a port, by public API only. Server and
 * client are two ports of this process, so that each step's effect is certain.
 *
 *     mif-ethdev [EAL options] -- list | features | ROLE CASE...
 */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_malloc.h>

#include "check.h"
#include "lent.h"

#define RINGS_MAX 8

static const struct test_case *const cases[] = {
	queue_cases,
	queue_start_cases,
	port_cases,
	stats_cases,
	packet_cases,
	power_cases,
	leaving_cases,
	lent_cases,
	kept_cases,
	short_cases,
	freed_cases,
	outlive_cases,
	pinned_cases,
	checksum_cases,
	vlan_cases,
	tso_cases,
	ip_cases,
	stream_cases,
};

static bool failed;

void
check_failed(const char *file, int line, const char *format, ...)
{
	const char *base = strrchr(file, '/');
	va_list args;

	failed = true;
	printf("FAIL %s:%d: ", base != NULL ? base + 1 : file, line);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
}

bool
case_has_failed(void)
{
	return failed;
}

static void
print_names(void)
{
	for (unsigned int i = 0; i < RTE_DIM(cases); i++) {
		for (const struct test_case *one = cases[i]; one->name != NULL; one++)
			printf("%s\n", one->name);
	}
}

static const struct test_case *
find(const char *name)
{
	for (unsigned int i = 0; i < RTE_DIM(cases); i++) {
		for (const struct test_case *one = cases[i]; one->name != NULL; one++) {
			if (strcmp(one->name, name) == 0)
				return one;
		}
	}
	return NULL;
}

static size_t
heap_in_use(void)
{
	struct rte_malloc_socket_stats stats;
	size_t total = 0;

	for (int socket = 0; socket < RTE_MAX_NUMA_NODES; socket++) {
		if (rte_malloc_get_socket_stats(socket, &stats) == 0)
			total += stats.heap_allocsz_bytes;
	}
	return total;
}

/* Afterwards everything that the ports took has been given back. */
static void
check_clean(size_t heap)
{
	CHECK_EQ(mbufs_in_use(), 0);
	CHECK_EQ(rte_eth_dev_count_avail(), 0);
	CHECK_EQ(heap_in_use(), heap);
}

static bool
run(const struct test_case *one, const char *role)
{
	bool client = strcmp(role, "client") == 0;
	struct pair pair = {
		.port = { .role = client ? "client" : "server", .name = "net_memif0" },
		.peer = { .role = client ? "server" : "client", .name = "net_memif1" },
	};
	size_t heap = heap_in_use();

	snprintf(pair.socket, sizeof(pair.socket), "@mif-ethdev-%d", (int)getpid());
	failed = false;
	one->run(&pair);
	end_detach(&pair.peer);
	end_detach(&pair.port);
	if (!failed)
		check_clean(heap);
	printf("%s %s %s\n", failed ? "failed" : "ok", role, one->name);
	return !failed;
}

/* What EAL and ethdev take for themselves with the first port stays, and what servers keep for the next
 * rings that they receive from without copying: of as many as any case has at a time. */
static void
warm_up(void)
{
	const struct setup setup = { .rxq = RINGS_MAX, .txq = RINGS_MAX };
	struct pair pair = {
		.port = { .role = "server", .name = "net_memif0" },
		.peer = { .role = "client", .name = "net_memif1" },
	};

	snprintf(pair.socket, sizeof(pair.socket), "@mif-ethdev-%d", (int)getpid());
	if (lender_up(&pair, "", &setup) != 0)
		fprintf(stderr, "mif-ethdev: no ports can be attached\n");
	pair_detach(&pair);
}

static int
run_all(const char *role, int count, char **names)
{
	const struct test_case *one;
	bool good = true;

	warm_up();
	for (int i = 0; i < count; i++) {
		one = find(names[i]);
		if (one == NULL) {
			fprintf(stderr, "mif-ethdev: no case %s; 'list' shows all\n", names[i]);
			return 2;
		}
		good &= run(one, role);
	}
	return good ? 0 : 1;
}

int
main(int argc, char **argv)
{
	int used = rte_eal_init(argc, argv);
	int ret = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (used < 0 || !ports_init())
		return 2;
	argc -= used + 1;
	argv += used + 1;
	if (argc == 1 && strcmp(argv[0], "list") == 0)
		print_names();
	else if (argc == 1 && strcmp(argv[0], "features") == 0)
		print_features();
	else if (argc > 1 && (strcmp(argv[0], "client") == 0 || strcmp(argv[0], "server") == 0))
		ret = run_all(argv[0], argc - 1, &argv[1]);
	else
		ret = 2;
	if (ret == 2)
		fprintf(stderr, "usage: mif-ethdev [EAL options] -- list | features | ROLE CASE...\n");
	rte_mempool_free(mbufs);
	rte_eal_cleanup();
	return ret;
}

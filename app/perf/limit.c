/* SPDX-License-Identifier: BSD-3-Clause */

/* What two cores can do with a memif ring: no driver, no mbufs, no ports. */

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <rte_common.h>
#include <rte_cycles.h>
#include <rte_launch.h>
#include <rte_lcore.h>

#include "command.h"
#include "limit_ring.h"
#include "report.h"
#include "sizes.h"
#include "stop.h"
#include "wait.h"

#define STRIDE_POWER 2048
#define STRIDE_ODD 2112
#define HOT_BUFFERS 256
#define LENGTH_LARGEST 2048
#define INJECTED 16
#define WARMUP 0.05
#define CHECK_SECONDS 0.05
#define REGION_BYTES (UINT64_C(8) << 20)

static const char *const directions[] = { "one", "both", "all", NULL };
enum {
	ONE_WAY,
	BOTH_WAYS,
	ALL_WAYS
};

static struct {
	uint64_t direction, rounds;
	double seconds;
	const char *size, *json;
} options = {
	.direction = ALL_WAYS,
	.rounds = 3,
	.seconds = 0.3,
	.size = "64,128,256,512,1518",
};

static const struct option_spec specs[] = {
	CHOICE_OPTION("direction", &options.direction, directions,
			"one way, both ways (each core sends on what it takes), or all"),
	TEXT_OPTION("size", &options.size, "packets: bytes,bytes,..."),
	SECONDS_OPTION("seconds", &options.seconds, "for each measurement"),
	NUMBER_OPTION("rounds", &options.rounds, 1, 99,
			"measurements in turns, of which the median counts"),
	TEXT_OPTION("json", &options.json, "file for the results"),
	END_OF_OPTIONS,
};

/* The layouts that matter. */
static const struct layout {
	const char *name;
	uint32_t stride; /* 0: packets lie one behind the other, in whole lines */
	uint32_t buffers;
	bool payload;
	bool prefetch;
} layouts[] = {
	{ "2048 apart, no prefetch", STRIDE_POWER, LIMIT_SLOTS, true, false },
	{ "2048 apart, prefetch", STRIDE_POWER, LIMIT_SLOTS, true, true },
	{ "2112 apart, prefetch", STRIDE_ODD, LIMIT_SLOTS, true, true },
	{ "2112 apart, 256 buffers", STRIDE_ODD, HOT_BUFFERS, true, true },
	{ "packed, prefetch", 0, LIMIT_SLOTS, true, true },
	{ "descriptors only", 0, LIMIT_SLOTS, false, false },
};

#define ROUNDS_MAX 99

struct result {
	const struct layout *layout;
	uint32_t length;
	bool both;
	double mpps[ROUNDS_MAX];
};

static struct {
	struct limit_pipe pipe[2];
	struct limit_store store[2];
	uint8_t *region[2];
	struct result *results;
	unsigned int count;
	bool huge;
	int stop;
} state;

static uint8_t *
map(uint64_t bytes)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE;
	void *memory = MAP_FAILED;

	if (state.huge)
		memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags | MAP_HUGETLB, -1, 0);
	if (memory == MAP_FAILED) {
		state.huge = false;
		memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
	}
	return memory == MAP_FAILED ? NULL : memory;
}

/* Each core's own packets, 32 of them, never on a power-of-two stride. */
static int
set_up_memory(void)
{
	uint8_t *memory;

	state.huge = true;
	for (int i = 0; i < 2; i++) {
		state.region[i] = map(REGION_BYTES);
		memory = map(REGION_BYTES);
		if (state.region[i] == NULL || memory == NULL) {
			fprintf(stderr, "dpdk-memif-perf: no memory: %s\n", strerror(errno));
			return -ENOMEM;
		}
		for (int p = 0; p < LIMIT_BURST; p++)
			state.store[i].packet[p] = memory + p * (LENGTH_LARGEST + 64);
	}
	return 0;
}

static int
other_core(void *arg)
{
	const struct limit_job *job = arg;

	if (job->in == NULL)
		limit_produce(job);
	else
		limit_relay(job);
	return 0;
}

/* The third thread: it ends the other two, and counts. */
struct timer {
	double seconds;
	double mpps;
	pthread_t thread;
};

static uint64_t
received(void)
{
	return __atomic_load_n(&state.pipe[0].received, __ATOMIC_RELAXED);
}

static void *
run_timer(void *arg)
{
	struct timer *timer = arg;
	uint64_t begin, packets;

	usleep((useconds_t)(WARMUP * 1e6));
	packets = received();
	begin = rte_rdtsc();
	usleep((useconds_t)(timer->seconds * 1e6));
	timer->mpps = (double)(received() - packets) * (double)rte_get_tsc_hz() /
			(double)(rte_rdtsc() - begin) / 1e6;
	__atomic_store_n(&state.stop, 1, __ATOMIC_RELAXED);
	return NULL;
}

static void
set_up_pipes(const struct result *result)
{
	const struct layout *layout = result->layout;
	struct limit_cfg cfg = {
		.length = result->length,
		.stride = layout->stride != 0 ? layout->stride : RTE_ALIGN_CEIL(result->length, 64),
		.buffers = layout->buffers,
		.payload = layout->payload,
		.prefetch = layout->prefetch,
	};

	for (int i = 0; i < 2; i++)
		limit_pipe_init(&state.pipe[i], &cfg, state.region[i]);
}

/* One run of both cores; the rate is that of one direction. */
static int
run_once(const struct result *result, double seconds, bool check, double *mpps)
{
	struct limit_job here = {
		.in = &state.pipe[0], .store = &state.store[0], .check = check, .stop = &state.stop
	};
	struct limit_job there = {
		.out = &state.pipe[0], .store = &state.store[1], .check = check, .stop = &state.stop
	};
	struct timer timer = { .seconds = seconds };
	unsigned int worker = rte_get_next_lcore(-1, 1, 0);

	set_up_pipes(result);
	state.stop = 0;
	if (result->both) {
		here.out = &state.pipe[1];
		there.in = &state.pipe[1];
		/* Fewer than either ring holds, so neither core ever finds its way out full. */
		limit_inject(&here,
				result->layout->buffers < LIMIT_SLOTS ? INJECTED / 4 : INJECTED);
	}
	if (pthread_create(&timer.thread, NULL, run_timer, &timer) != 0)
		return -EAGAIN;
	rte_eal_remote_launch(other_core, &there, worker);
	if (result->both)
		limit_relay(&here);
	else
		limit_consume(&here);
	rte_eal_wait_lcore(worker);
	pthread_join(timer.thread, NULL);
	*mpps = timer.mpps;
	if (state.pipe[0].wrong + state.pipe[1].wrong == 0)
		return 0;
	fprintf(stderr, "dpdk-memif-perf: WRONG: %s, %u bytes: packets out of order or broken\n",
			result->layout->name, result->length);
	return -EBADMSG;
}

static int
measure(struct result *result, unsigned int round)
{
	double unused;
	int ret = 0;

	/* What is measured is what is right: numbers first, then speed. */
	if (round == 0 && result->layout->payload)
		ret = run_once(result, CHECK_SECONDS, true, &unused);
	if (ret == 0)
		ret = run_once(result, options.seconds, false, &result->mpps[round]);
	if (ret == 0)
		printf("round %u: %s, %4u bytes, %-24s %7.1f Mpps\n", round + 1,
				result->both ? "both ways" : "one way  ", result->length,
				result->layout->name, result->mpps[round]);
	return ret;
}

static void
plan_length(uint32_t length)
{
	struct result *result;

	for (int both = 0; both < 2; both++) {
		if (options.direction != ALL_WAYS && (int)options.direction != both)
			continue;
		for (unsigned int i = 0; i < RTE_DIM(layouts); i++) {
			result = &state.results[state.count++];
			result->layout = &layouts[i];
			result->length = length;
			result->both = both != 0;
		}
	}
}

static int
plan(void)
{
	struct sizes sizes;
	bool seen[LENGTH_LARGEST + 1] = { false };

	if (sizes_parse(&sizes, options.size) != 0)
		return -EINVAL;
	if (sizes.largest > LENGTH_LARGEST) {
		fprintf(stderr, "dpdk-memif-perf: limit takes packets of at most %d bytes\n",
				LENGTH_LARGEST);
		return -EINVAL;
	}
	state.results = calloc(sizes.count * 2 * RTE_DIM(layouts), sizeof(*state.results));
	if (state.results == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < sizes.count; i++)
		seen[sizes.length[i]] = true;
	for (uint32_t length = 0; length <= LENGTH_LARGEST; length++)
		if (seen[length])
			plan_length(length);
	return 0;
}

static int
compare(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

static int
report(void)
{
	struct table table;
	const struct table *tables[] = { &table };
	struct result *result;
	int ret;

	table_init(&table, "result");
	for (unsigned int i = 0; i < state.count; i++) {
		result = &state.results[i];
		qsort(result->mpps, options.rounds, sizeof(double), compare);
		table_row(&table);
		table_text(&table, "direction", directions[result->both]);
		table_number(&table, "size", result->length, 0);
		table_text(&table, "layout", result->layout->name);
		table_number(&table, "mpps", result->mpps[options.rounds / 2], 1);
		table_number(&table, "min", result->mpps[0], 1);
		table_number(&table, "max", result->mpps[options.rounds - 1], 1);
		table_text(&table, "pages", state.huge ? "2M" : "4k");
	}
	printf("\nbare ring of %d slots; both ways: each core sends on what it takes, rate of one "
	       "direction\n",
			LIMIT_SLOTS);
	table_print(&table);
	ret = report_write(options.json, "limit", NULL, tables, RTE_DIM(tables));
	table_free(&table);
	return ret;
}

static int
run(void)
{
	int ret = 0;

	if (rte_lcore_count() != 2) {
		fprintf(stderr, "dpdk-memif-perf: limit wants two lcores on two CPUs, as -l 0,1\n");
		return EXIT_FAILURE;
	}
	if (report_check(options.json) != 0 || plan() != 0 || set_up_memory() != 0)
		return EXIT_FAILURE;
	for (unsigned int round = 0; ret == 0 && round < options.rounds; round++)
		for (unsigned int i = 0; ret == 0 && i < state.count && !stop_wanted(); i++)
			ret = measure(&state.results[i], round);
	if (ret == 0 && !stop_wanted())
		ret = report();
	free(state.results);
	return ret == 0 && !stop_wanted() ? EXIT_SUCCESS : EXIT_FAILURE;
}

const struct command command_limit = {
	.name = "limit",
	.summary = "the bare two-core ring without a driver: what there is to reach",
	.options = specs,
	.run = run,
};

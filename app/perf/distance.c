/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * memif-distance: how far apart two CPUs are, as the time that a cache line needs there and back.
 * In a virtual machine that is no constant: the host moves virtual CPUs, now to cores that share a
 * cache, now to cores that do not, and everything that passes memory between them is then slower by
 * a factor. bench.py looks at it before and after each measurement.
 */

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LINE 64
#define TRIPS 500 /* of one sample: short enough to be left alone by other programs */
#define SAMPLES 20

/* The number that goes to and fro: odd on its way there, even on its way back. */
static struct {
	alignas(LINE) atomic_uint number;
	char rest[LINE - sizeof(atomic_uint)];
} ball;

static cpu_set_t
only(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return set;
}

/* Returns an errno. */
static int
start(unsigned int cpu, void *(*function)(void *), pthread_t *thread)
{
	cpu_set_t set = only(cpu);
	pthread_attr_t attr;
	int ret;

	ret = pthread_attr_init(&attr);
	if (ret != 0)
		return ret;
	ret = pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
	if (ret == 0)
		ret = pthread_create(thread, &attr, function, NULL);
	pthread_attr_destroy(&attr);
	return ret;
}

static void
wait_until(unsigned int number)
{
	while (atomic_load_explicit(&ball.number, memory_order_acquire) != number)
		;
}

static void throw(unsigned int number)
{
	atomic_store_explicit(&ball.number, number, memory_order_release);
}

static void *
throw_back(void *unused)
{
	(void)unused;
	for (unsigned int i = 0; i < TRIPS * SAMPLES; i++) {
		wait_until(2 * i + 1);
		throw(2 * i + 2);
	}
	return NULL;
}

static double
now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

/* The shortest sample is the one that nobody has disturbed. */
static double
measure(void)
{
	double best = 0;

	for (unsigned int sample = 0; sample < SAMPLES; sample++) {
		double begin = now_ns(), spent;

		for (unsigned int i = sample * TRIPS; i < (sample + 1) * TRIPS; i++) {
			throw(2 * i + 1);
			wait_until(2 * i + 2);
		}
		spent = (now_ns() - begin) / TRIPS;
		if (sample == 0 || spent < best)
			best = spent;
	}
	return best;
}

static bool
parse_cpu(const char *text, unsigned int *cpu)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	*cpu = (unsigned int)value;
	return text[0] >= '0' && text[0] <= '9' && *end == '\0' && value < CPU_SETSIZE;
}

static int
fail(unsigned int cpu, int error)
{
	fprintf(stderr, "memif-distance: cannot run on CPU %u: %s\n", cpu, strerror(error));
	return EXIT_FAILURE;
}

int
main(int argc, char **argv)
{
	unsigned int here, there;
	pthread_t thread;
	cpu_set_t set;
	int ret;

	if (argc != 3 || !parse_cpu(argv[1], &here) || !parse_cpu(argv[2], &there) ||
			here == there) {
		fprintf(stderr,
				"memif-distance CPU ANOTHER-CPU: nanoseconds of a cache line's way "
				"from one to the other and back\n");
		return EXIT_FAILURE;
	}
	set = only(here);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		return fail(here, errno);
	ret = start(there, throw_back, &thread);
	if (ret != 0)
		return fail(there, ret);
	printf("%.1f\n", measure());
	pthread_join(thread, NULL);
	return EXIT_SUCCESS;
}

/* SPDX-License-Identifier: BSD-3-Clause */

/** @file What the two ends of mif-intr share. */

#ifndef SLEEPER_H
#define SLEEPER_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include <rte_common.h>
#include <rte_ether.h>
#include <rte_mempool.h>

#define QUEUES_MAX 8
#define BURST 32
#define STAMP_MAGIC UINT32_C(0x51ee9e12)

/** What a packet carries behind its Ethernet header, so not where numbers like to be. */
struct stamp {
	uint32_t magic;
	uint32_t run;	      /**< of the sender, so that a former one's packets are told apart */
	uint64_t number;      /**< from 0 on */
	uint64_t sent_ns;     /**< of CLOCK_MONOTONIC, which both processes share */
	uint64_t received_ns; /**< in an answer: when the sleeper had it */
} __rte_packed;

/** Options of both ends. */
struct options {
	bool send;
	uint64_t count; /**< packets to send */
	uint16_t queues;
	uint32_t seed;
	bool plain; /**< sleep in poll(), as programs with a loop of their own do */
};

/** Times, for their median and the like; the first so many. */
struct times {
	uint32_t *ns;
	uint32_t count;
	uint32_t size;
};

static inline uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/** Polls, sends single packets, and waits for each to come back. Returns the exit status. */
int run_sender(uint16_t port, const struct options *options, struct rte_mempool *mbufs);

/** Sleeps until packets come, and sends them back, until stdin ends. Returns the exit status. */
int run_sleeper(uint16_t port, const struct options *options);

void times_add(struct times *times, uint64_t ns);

/** Prints "NAME": {...} for the result; sorts the times. */
void times_print(struct times *times, const char *name);

#endif /* SLEEPER_H */

/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Power management: what a CPU is told to wait for. That it waits needs a CPU with UMWAIT; here its part
 * is played: read the word, ask the callback.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_ethdev.h>
#include <rte_power_intrinsics.h>

#include "check.h"

#define LENGTH 60

static const struct setup plain = { 0 };

/* As rte_power_monitor() does, at any time after the condition was got. */
static bool
would_sleep(const struct rte_power_monitor_cond *cond)
{
	return cond->fn(*(const volatile uint16_t *)cond->addr, cond->opaque) == 0;
}

static void
get(uint16_t port, struct rte_power_monitor_cond *cond)
{
	memset(cond, 0, sizeof(*cond));
	CHECK_EQ(rte_eth_get_monitor_addr(port, 0, cond), 0);
	CHECK_EQ(cond->size, sizeof(uint16_t));
	CHECK_EQ((uintptr_t)cond->addr % cond->size, 0);
}

/* An empty ring is slept at, and a packet ends that, all around 65536. */
static void
monitor(struct pair *pair)
{
	struct rte_power_monitor_cond cond;
	uint16_t port, peer;

	CHECK_EQ(end_attach(pair, &pair->port, ""), 0);
	port = pair->port.id;
	CHECK_EQ(end_configure(&pair->port, &plain), 0);
	CHECK_EQ(rte_eth_dev_start(port), 0);
	STEP(get(port, &cond));
	CHECK(would_sleep(&cond));
	CHECK_EQ(end_attach(pair, &pair->peer, ""), 0);
	peer = pair->peer.id;
	CHECK_EQ(end_configure(&pair->peer, &plain), 0);
	CHECK_EQ(rte_eth_dev_start(peer), 0);
	CHECK(pair_wait_link(pair, true));
	for (int round = 0; round < 2200; round++) {
		STEP(get(port, &cond));
		CHECK(would_sleep(&cond));
		CHECK_EQ(send_packets(peer, 0, 31, LENGTH), 31);
		CHECK(!would_sleep(&cond));
		/* Too late to sleep: what is asked after the packet has come says so at once. */
		STEP(get(port, &cond));
		CHECK(!would_sleep(&cond));
		CHECK_EQ(take_packets(port, 0, 30, LENGTH), 30);
		STEP(get(port, &cond));
		CHECK(!would_sleep(&cond));
		CHECK_EQ(take_packets(port, 0, 32, LENGTH), 1);
	}
}

static unsigned int
count_mappings(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned int count = 0;
	int c;

	while (maps != NULL && (c = fgetc(maps)) != EOF)
		count += c == '\n';
	if (maps != NULL)
		fclose(maps);
	return count;
}

/* A condition of any age can be read as long as the queue is there; connections leave nothing. */
static void
monitor_for_ever(struct pair *pair)
{
	struct rte_power_monitor_cond oldest, old, cond;
	unsigned int before = 0;

	CHECK_EQ(pair_up(pair, "", &plain, &plain), 0);
	STEP(get(pair->port.id, &oldest));
	for (int round = 0; round < 60; round++) {
		STEP(get(pair->port.id, &old));
		end_detach(&pair->peer);
		CHECK(pair_wait_down(&pair->port));
		STEP(get(pair->port.id, &cond));
		CHECK(would_sleep(&cond));
		would_sleep(&oldest);
		would_sleep(&old);
		if (round == 10)
			before = count_mappings();
		if (round > 10)
			CHECK(count_mappings() <= before);
		CHECK_EQ(end_attach(pair, &pair->peer, ""), 0);
		CHECK_EQ(end_configure(&pair->peer, &plain), 0);
		CHECK_EQ(rte_eth_dev_start(pair->peer.id), 0);
		CHECK(pair_wait_link(pair, true));
		STEP(get(pair->port.id, &cond));
		CHECK(would_sleep(&cond));
		CHECK_EQ(send_packets(pair->peer.id, 0, 1, LENGTH), 1);
		CHECK(!would_sleep(&cond));
		CHECK_EQ(take_packets(pair->port.id, 0, 32, LENGTH), 1);
	}
	CHECK_EQ(rte_eth_dev_rx_queue_stop(pair->port.id, 0), 0);
	STEP(get(pair->port.id, &cond));
	CHECK(would_sleep(&cond));
	CHECK_EQ(send_packets(pair->peer.id, 0, 1, LENGTH), 1);
	CHECK_EQ(rte_eth_dev_rx_queue_start(pair->port.id, 0), 0);
	STEP(get(pair->port.id, &cond));
	CHECK(!would_sleep(&cond));
}

const struct test_case power_cases[] = {
	{ "monitor", monitor },
	{ "monitor-for-ever", monitor_for_ever },
	{ NULL, NULL },
};

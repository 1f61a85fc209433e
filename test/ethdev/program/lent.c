/* SPDX-License-Identifier: BSD-3-Clause */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>
#include <rte_debug.h>
#include <rte_ethdev.h>

#include "lent.h"

#define BURST 32

struct end *
lender(struct pair *pair)
{
	return pair_end(pair, "server");
}

struct end *
borrowed_from(struct pair *pair)
{
	return pair_end(pair, "client");
}

int
lender_up(struct pair *pair, const char *options, const struct setup *setup)
{
	char server[128];

	snprintf(server, sizeof(server), "%s,zero-copy=yes", options);
	return pair_up_as(pair, server, setup, options, setup);
}

void
hold_packets(struct pair *pair, struct held *held, unsigned int count, uint32_t length)
{
	unsigned int left = RTE_MIN(count, HELD_MAX - held->count);
	uint16_t sent, taken;

	held->length = length;
	/* What is free goes back when the receiver looks at its ring. */
	rte_eth_rx_burst(lender(pair)->id, 0, held->packets, 0);
	do {
		sent = send_packets(borrowed_from(pair)->id, 0,
				(uint16_t)RTE_MIN(left, (unsigned int)BURST), length);
		taken = rte_eth_rx_burst(lender(pair)->id, 0, &held->packets[held->count], sent);
		held->count += taken;
		left -= taken;
	} while (taken != 0 && left != 0);
}

unsigned int
count_lent(const struct held *held)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < held->count; i++)
		count += RTE_MBUF_HAS_EXTBUF(held->packets[i]) != 0;
	return count;
}

bool
all_intact(const struct held *held)
{
	for (unsigned int i = 0; i < held->count; i++) {
		if (!is_intact(held->packets[i], held->length))
			return false;
	}
	return true;
}

void
free_one(struct held *held, unsigned int at)
{
	rte_pktmbuf_free(held->packets[at]);
	held->packets[at] = held->packets[--held->count];
}

void
free_all(struct held *held, unsigned int seed)
{
	while (held->count != 0)
		free_one(held, (unsigned int)rand_r(&seed) % held->count);
}

struct order {
	struct held *held;
	unsigned int seed;
};

static void *
free_there(void *arg)
{
	const struct order *order = arg;

	free_all(order->held, order->seed);
	return NULL;
}

void
free_all_elsewhere(struct held *held, unsigned int seed)
{
	struct order order = { held, seed };
	pthread_t thread;

	if (pthread_create(&thread, NULL, free_there, &order) != 0)
		rte_panic("no thread\n");
	pthread_join(thread, NULL);
}

unsigned int
count_regions(void)
{
	FILE *file = fopen("/proc/self/maps", "r");
	unsigned int count = 0;
	char line[512];

	if (file == NULL)
		rte_panic("no /proc\n");
	while (fgets(line, sizeof(line), file) != NULL)
		count += strstr(line, "/memfd:memif") != NULL;
	fclose(file);
	return count;
}

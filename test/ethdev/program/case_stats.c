/* SPDX-License-Identifier: BSD-3-Clause */

/* Counters: names, the ways to ask for them, and that they do not go back. */

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ethdev.h>

#include "check.h"

#define XSTATS_MAX 256

static const struct setup plain = { 0 };

/* All counters of a port, by the plain calls. */
struct all {
	struct rte_eth_xstat_name names[XSTATS_MAX];
	struct rte_eth_xstat values[XSTATS_MAX];
	int count;
};

static void
get_all(uint16_t port, struct all *all)
{
	all->count = rte_eth_xstats_get_names(port, NULL, 0);
	CHECK(all->count > 0 && all->count <= XSTATS_MAX);
	CHECK_EQ(rte_eth_xstats_get_names(port, all->names, XSTATS_MAX), all->count);
	CHECK_EQ(rte_eth_xstats_get(port, all->values, XSTATS_MAX), all->count);
	/* Too small a place is told what would do, and not written to. */
	all->names[0].name[0] = '!';
	CHECK_EQ(rte_eth_xstats_get_names(port, all->names, (unsigned int)all->count - 1),
			all->count);
	CHECK_EQ(all->names[0].name[0], '!');
	CHECK_EQ(rte_eth_xstats_get_names(port, all->names, XSTATS_MAX), all->count);
}

static bool
is_clear(const char *name)
{
	const char *c;

	for (c = name; *c != '\0'; c++) {
		if (!islower(*c) && !isdigit(*c) && *c != '_')
			return false;
	}
	return c != name && c < name + RTE_ETH_XSTATS_NAME_SIZE - 1;
}

static void
names(struct pair *pair)
{
	static struct all all;

	CHECK_EQ(pair_up(pair, "", &plain, &plain), 0);
	STEP(get_all(pair->port.id, &all));
	for (int i = 0; i < all.count; i++) {
		CHECK(is_clear(all.names[i].name));
		CHECK_EQ(all.values[i].id, i);
		for (int j = 0; j < i; j++)
			CHECK(strcmp(all.names[i].name, all.names[j].name) != 0);
	}
	CHECK_EQ(xstat(pair->port.id, "connections"), 1);
	CHECK_EQ(xstat(pair->port.id, "disconnections"), 0);
	CHECK_EQ(xstat(pair->port.id, "no_such_counter"), UINT64_MAX);
}

static void
ask_one(uint16_t port, const struct all *all, int i)
{
	uint64_t id = UINT64_MAX, value = UINT64_MAX, wanted = (uint64_t)i;
	struct rte_eth_xstat_name name;

	CHECK_EQ(rte_eth_xstats_get_id_by_name(port, all->names[i].name, &id), 0);
	CHECK_EQ(id, wanted);
	CHECK_EQ(rte_eth_xstats_get_by_id(port, &wanted, &value, 1), 1);
	CHECK_EQ(value, all->values[i].value);
	CHECK_EQ(rte_eth_xstats_get_names_by_id(port, &name, 1, &wanted), 1);
	CHECK(strcmp(name.name, all->names[i].name) == 0);
}

/* ethdev makes these of the plain operations: one, all, and some in another order. */
static void
by_id(struct pair *pair)
{
	uint64_t ids[XSTATS_MAX], values[XSTATS_MAX];
	static struct all all;
	uint16_t port;

	CHECK_EQ(pair_up(pair, "", &plain, &plain), 0);
	port = pair->port.id;
	CHECK_EQ(send_packets(port, 0, 7, 60), 7);
	CHECK_EQ(send_packets(pair->peer.id, 0, 5, 60), 5);
	CHECK_EQ(take_packets(port, 0, 32, 60), 5);
	STEP(get_all(port, &all));
	for (int i = 0; i < all.count; i++)
		STEP(ask_one(port, &all, i));
	CHECK_EQ(rte_eth_xstats_get_by_id(port, NULL, values, XSTATS_MAX), all.count);
	for (int i = 0; i < all.count; i++) {
		CHECK_EQ(values[i], all.values[i].value);
		ids[i] = (uint64_t)(all.count - 1 - i);
	}
	CHECK_EQ(rte_eth_xstats_get_by_id(port, ids, values, (unsigned int)all.count), all.count);
	for (int i = 0; i < all.count; i++)
		CHECK_EQ(values[i], all.values[ids[i]].value);
	ids[0] = (uint64_t)all.count;
	CHECK(rte_eth_xstats_get_by_id(port, ids, values, 1) < 0);
}

/* Basic, per queue and extended counters say the same. */
static void
agree(struct pair *pair)
{
	const struct setup two = { .rxq = 2, .txq = 2 };
	struct rte_eth_stats stats;
	uint16_t port;

	CHECK_EQ(pair_up(pair, "", &two, &two), 0);
	port = pair->port.id;
	CHECK_EQ(send_packets(port, 0, 7, 60), 7);
	CHECK_EQ(send_packets(port, 1, 9, 100), 9);
	CHECK_EQ(send_packets(pair->peer.id, 0, 4, 200), 4);
	CHECK_EQ(send_packets(pair->peer.id, 1, 5, 300), 5);
	CHECK_EQ(take_packets(port, 0, 32, 200), 4);
	CHECK_EQ(take_packets(port, 1, 32, 300), 5);
	CHECK_EQ(rte_eth_stats_get(port, &stats), 0);
	CHECK_EQ(stats.opackets, 16);
	CHECK_EQ(stats.obytes, 7 * 60 + 9 * 100);
	CHECK_EQ(stats.ipackets, 9);
	CHECK_EQ(stats.ibytes, 4 * 200 + 5 * 300);
	CHECK_EQ(stats.ierrors + stats.oerrors + stats.imissed + stats.rx_nombuf, 0);
	CHECK_EQ(xstat(port, "tx_good_packets"), 16);
	CHECK_EQ(xstat(port, "tx_q0_packets"), 7);
	CHECK_EQ(xstat(port, "tx_q1_bytes"), 900);
	CHECK_EQ(xstat(port, "rx_q0_bytes"), 800);
	CHECK_EQ(xstat(port, "rx_q1_packets"), 5);
	CHECK_EQ(xstat(port, "rx_q1_errors"), 0);
}

/* A reset, and only that, brings a counter back: not stop, disconnect, nor other queues. */
static void
go_on(struct pair *pair)
{
	struct setup setup = { 0 };
	struct rte_eth_stats stats;
	uint16_t port;

	CHECK_EQ(pair_up(pair, "", &setup, &plain), 0);
	port = pair->port.id;
	for (uint64_t round = 1; round <= 6; round++) {
		CHECK(pair_wait_link(pair, true));
		CHECK_EQ(send_packets(port, 0, 10, 60), 10);
		CHECK_EQ(take_packets(pair->peer.id, 0, 32, 60), 10);
		CHECK_EQ(send_packets(pair->peer.id, 0, 20, 60), 20);
		CHECK_EQ(take_packets(port, 0, 32, 60), 20);
		CHECK_EQ(send_packets(port, 0, 1, 0), 1);
		CHECK_EQ(rte_eth_dev_stop(port), 0);
		setup.rxq = setup.txq = 1 + round % 3;
		CHECK_EQ(end_configure(&pair->port, &setup), 0);
		CHECK_EQ(rte_eth_stats_get(port, &stats), 0);
		CHECK_EQ(stats.opackets, 10 * round);
		CHECK_EQ(stats.obytes, 600 * round);
		CHECK_EQ(stats.ipackets, 20 * round);
		CHECK_EQ(stats.ibytes, 1200 * round);
		CHECK_EQ(stats.oerrors, round);
		CHECK_EQ(xstat(port, "tx_empty_packets"), round);
		CHECK_EQ(xstat(port, "disconnections"), round);
		CHECK_EQ(rte_eth_dev_start(port), 0);
	}
	CHECK(pair_wait_link(pair, true));
	CHECK_EQ(rte_eth_stats_reset(port), 0);
	CHECK_EQ(rte_eth_stats_get(port, &stats), 0);
	CHECK_EQ(stats.opackets + stats.obytes + stats.ipackets + stats.ibytes + stats.oerrors, 0);
	CHECK_EQ(xstat(port, "tx_empty_packets"), 0);
	CHECK_EQ(send_packets(port, 0, 3, 60), 3);
	CHECK_EQ(rte_eth_xstats_reset(port), 0);
	CHECK_EQ(xstat(port, "tx_good_packets"), 0);
	CHECK_EQ(xstat(port, "connections"), 0);
}

const struct test_case stats_cases[] = {
	{ "stats-names", names },
	{ "stats-by-id", by_id },
	{ "stats-agree", agree },
	{ "stats-go-on", go_on },
	{ NULL, NULL },
};

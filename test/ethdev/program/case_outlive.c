/* SPDX-License-Identifier: BSD-3-Clause */

/* What a server with zero-copy has handed up outlives its connection, its port, and all ports. */

#include <rte_cycles.h>
#include <rte_ethdev.h>

#include "check.h"
#include "lent.h"

#define OPTIONS ",rsize=6"
#define SLOTS 64u
#define HELD 40u
#define PATIENCE_MS 5000

static const struct setup plain = { 0 };

static bool
regions_become(unsigned int wanted)
{
	for (int ms = 0; ms < PATIENCE_MS; ms++) {
		if (count_regions() == wanted)
			return true;
		rte_delay_us_sleep(1000);
	}
	return false;
}

static bool
link_goes_down(uint16_t port)
{
	struct rte_eth_link link = { 0 };

	for (int ms = 0; ms < PATIENCE_MS; ms++) {
		if (rte_eth_link_get_nowait(port, &link) == 0 && !link.link_status)
			return true;
		rte_delay_us_sleep(1000);
	}
	return false;
}

static void
begin(struct pair *pair, struct held *held)
{
	CHECK_EQ(lender_up(pair, OPTIONS, &plain), 0);
	CHECK_EQ(count_regions(), 2);
	hold_packets(pair, held, HELD, 1514);
	CHECK_EQ(held->count, HELD);
	CHECK_EQ(count_lent(held), HELD);
}

/* Half of them on one thread, half on another; the server's mapping goes with the last. */
static void
end(struct held *held, unsigned int left)
{
	unsigned int before = count_regions();

	CHECK(all_intact(held));
	while (held->count > HELD / 2)
		free_one(held, 0);
	CHECK(all_intact(held));
	CHECK_EQ(count_regions(), before);
	free_all_elsewhere(held, 1);
	CHECK_EQ(count_regions(), left);
}

/* The connection that comes after it works, while packets of the one before are held. */
static void
works(struct pair *pair)
{
	struct held held = { 0 };

	CHECK(pair_wait_link(pair, true));
	for (unsigned int round = 0; round < 100; round++) {
		hold_packets(pair, &held, HELD, 1514);
		CHECK_EQ(held.count, HELD);
		CHECK(all_intact(&held));
		free_all_elsewhere(&held, round);
	}
}

static void
outlives_disconnect(struct pair *pair)
{
	struct held held = { 0 };
	uint16_t client;

	STEP(begin(pair, &held));
	client = borrowed_from(pair)->id;
	CHECK_EQ(rte_eth_dev_stop(client), 0);
	CHECK(link_goes_down(lender(pair)->id));
	CHECK(regions_become(1));
	STEP(end(&held, 0));
	CHECK_EQ(rte_eth_dev_start(client), 0);
	STEP(works(pair));
}

static void
outlives_reconnects(struct pair *pair)
{
	struct held held[5] = { 0 };
	uint16_t client;

	STEP(begin(pair, &held[0]));
	client = borrowed_from(pair)->id;
	for (unsigned int i = 1; i < RTE_DIM(held); i++) {
		CHECK_EQ(rte_eth_dev_stop(client), 0);
		CHECK(link_goes_down(lender(pair)->id));
		CHECK_EQ(rte_eth_dev_start(client), 0);
		STEP(works(pair));
		hold_packets(pair, &held[i], HELD, 1000 + i);
		CHECK_EQ(held[i].count, HELD);
		CHECK(regions_become(2 + i));
	}
	/* Not in the order in which they came. */
	STEP(end(&held[1], 5));
	STEP(end(&held[3], 4));
	STEP(end(&held[0], 3));
	STEP(end(&held[2], 2));
	STEP(end(&held[4], 2));
	STEP(works(pair));
}

static void
outlives_stop(struct pair *pair)
{
	struct held held = { 0 };
	uint16_t server;

	STEP(begin(pair, &held));
	server = lender(pair)->id;
	CHECK_EQ(rte_eth_dev_stop(server), 0);
	CHECK(link_goes_down(borrowed_from(pair)->id));
	CHECK(regions_become(1));
	CHECK_EQ(rte_eth_dev_start(server), 0);
	STEP(works(pair));
	STEP(end(&held, 2));
	STEP(works(pair));
}

static void
outlives_port(struct pair *pair)
{
	struct held held = { 0 };

	STEP(begin(pair, &held));
	end_detach(lender(pair));
	CHECK(regions_become(1));
	STEP(end(&held, 0));
}

/* Nobody waits for them at the end of the last port, and a new first one does not mind. */
static void
outlives_all_ports(struct pair *pair)
{
	struct held held = { 0 }, more = { 0 };
	uint64_t start;

	for (unsigned int round = 0; round < 3; round++) {
		STEP(begin(pair, &held));
		start = rte_rdtsc();
		end_detach(lender(pair));
		end_detach(borrowed_from(pair));
		CHECK(rte_rdtsc() - start < rte_get_tsc_hz());
		CHECK_EQ(count_regions(), 1);
		if (round != 2)
			STEP(end(&held, 0));
	}
	CHECK_EQ(lender_up(pair, OPTIONS, &plain), 0);
	STEP(works(pair));
	hold_packets(pair, &more, SLOTS, 1514);
	CHECK_EQ(more.count, SLOTS);
	free_all_elsewhere(&held, 1);
	free_all_elsewhere(&more, 1);
	CHECK_EQ(count_regions(), 2);
}

const struct test_case outlive_cases[] = {
	{ "lent-outlives-disconnect", outlives_disconnect },
	{ "lent-outlives-reconnects", outlives_reconnects },
	{ "lent-outlives-stop", outlives_stop },
	{ "lent-outlives-port", outlives_port },
	{ "lent-outlives-all-ports", outlives_all_ports },
	{ NULL, NULL },
};

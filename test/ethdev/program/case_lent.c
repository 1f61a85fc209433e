/* SPDX-License-Identifier: BSD-3-Clause */

/* Zero-copy receive of a server: what its packets look like, and when their slots go back. */

#include <stdlib.h>

#include <rte_ethdev.h>

#include "check.h"
#include "lent.h"

#define OPTIONS ",rsize=6"
#define SLOTS 64u
#define MARK 48u /* three quarters of them */

static const struct setup plain = { 0 };
static const struct setup scatter = { .rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER };
static const struct setup sleepy = { .rx_interrupts = true };

/* Where there is no room for it, nothing can be written. */
static bool
is_lent_well(const struct rte_mbuf *mbuf)
{
	return RTE_MBUF_HAS_EXTBUF(mbuf) && rte_pktmbuf_headroom(mbuf) == 0 &&
			mbuf->buf_len == mbuf->data_len && rte_mbuf_refcnt_read(mbuf) == 1 &&
			rte_mbuf_ext_refcnt_read(mbuf->shinfo) == 1 && mbuf->next == NULL;
}

/* Long packets are lent, short ones copied; over many turns of the ring. */
static void
lent_or_copied(struct pair *pair)
{
	static const uint32_t lengths[] = { 60, 511, 512, 513, 1514, BSIZE };
	struct held held = { 0 };
	uint64_t lent = 0;
	uint32_t length;

	CHECK_EQ(lender_up(pair, OPTIONS, &plain), 0);
	for (unsigned int round = 0; round < 3000; round++) {
		length = lengths[round % RTE_DIM(lengths)];
		hold_packets(pair, &held, 1 + round % MARK, length);
		CHECK_EQ(held.count, 1 + round % MARK);
		CHECK(all_intact(&held));
		CHECK_EQ(count_lent(&held), length < 512 ? 0 : held.count);
		for (unsigned int i = 0; i < held.count && length >= 512; i++)
			CHECK(is_lent_well(held.packets[i]));
		lent += count_lent(&held);
		free_all(&held, round);
	}
	CHECK_EQ(xstat(lender(pair)->id, "rx_zero_copy_packets"), lent);
	CHECK_EQ(xstat(lender(pair)->id, "rx_zero_copy_high_water_packets"), 0);
}

/* A packet in several buffers: one segment each, the short rest copied. */
static void
lent_chains(struct pair *pair)
{
	struct held held = { 0 };

	CHECK_EQ(lender_up(pair, ",rsize=7,bsize=1024", &scatter), 0);
	for (unsigned int round = 0; round < 500; round++) {
		hold_packets(pair, &held, 1 + round % 5, 9000);
		CHECK_EQ(held.count, 1 + round % 5);
		CHECK(all_intact(&held));
		for (unsigned int i = 0; i < held.count; i++)
			CHECK_EQ(held.packets[i]->nb_segs, 9);
		CHECK_EQ(count_lent(&held), held.count);
		free_all_elsewhere(&held, round);
		hold_packets(pair, &held, 3, 1024 + 100);
		CHECK_EQ(held.count, 3);
		CHECK(all_intact(&held));
		CHECK(!RTE_MBUF_HAS_EXTBUF(held.packets[0]->next));
		free_all(&held, round);
	}
}

/* In any order, on another thread: the slots go back in the ring's order, once each. */
static void
lent_freed_in_disorder(struct pair *pair)
{
	struct held held = { 0 }, first = { 0 };
	unsigned int seed = 1, burst;
	uint64_t packets = 0;

	CHECK_EQ(lender_up(pair, OPTIONS, &plain), 0);
	for (unsigned int round = 0; round < 3000; round++) {
		hold_packets(pair, &first, 1, 1514);
		burst = 1 + (unsigned int)rand_r(&seed) % (MARK - 1);
		hold_packets(pair, &held, burst, 1514);
		CHECK_EQ(first.count, 1);
		CHECK_EQ(held.count, burst);
		packets += 1 + burst;
		/* None goes back before the first one. */
		free_all_elsewhere(&held, round);
		CHECK_EQ(rte_eth_rx_burst(lender(pair)->id, 0, held.packets, 1), 0);
		hold_packets(pair, &held, SLOTS - 1 - burst, 60);
		CHECK_EQ(held.count, SLOTS - 1 - burst);
		CHECK_EQ(send_packets(borrowed_from(pair)->id, 0, 1, 60), 0);
		free_all(&held, round);
		CHECK(all_intact(&first));
		free_all_elsewhere(&first, round);
	}
	CHECK_EQ(xstat(lender(pair)->id, "rx_zero_copy_packets"), packets);
}

/* Held for long: copied beyond the mark, then the ring stops, and goes on when they are freed. */
static void
lent_for_long(struct pair *pair)
{
	uint16_t port, client;
	struct held held = { 0 }, more = { 0 };

	CHECK_EQ(lender_up(pair, OPTIONS, &plain), 0);
	port = lender(pair)->id;
	client = borrowed_from(pair)->id;
	for (uint64_t round = 1; round <= 200; round++) {
		hold_packets(pair, &held, 2 * SLOTS, 1514);
		CHECK_EQ(held.count, SLOTS);
		CHECK_EQ(count_lent(&held), MARK);
		CHECK_EQ(xstat(port, "rx_zero_copy_packets"), MARK * round);
		CHECK_EQ(xstat(port, "rx_zero_copy_high_water_packets"), (SLOTS - MARK) * round);
		CHECK_EQ(send_packets(client, 0, 1, 60), 0);
		/* The first one alone holds up all. */
		while (held.count > 1)
			free_one(&held, 1);
		hold_packets(pair, &more, 1, 60);
		CHECK_EQ(more.count, 0);
		CHECK(all_intact(&held));
		free_one(&held, 0);
		/* The next look at the ring gives them back. */
		CHECK_EQ(rte_eth_rx_burst(port, 0, more.packets, 1), 0);
		hold_packets(pair, &more, SLOTS, 60);
		CHECK_EQ(more.count, SLOTS);
		free_all(&more, 1);
	}
}

/* The oldest packet that is held, in milliseconds. */
static void
lent_oldest(struct pair *pair)
{
	struct held old = { 0 }, young = { 0 };
	uint16_t port;

	CHECK_EQ(lender_up(pair, OPTIONS, &plain), 0);
	port = lender(pair)->id;
	CHECK_EQ(xstat(port, "rx_zero_copy_oldest_ms"), 0);
	hold_packets(pair, &old, 1, 1514);
	rte_delay_us_sleep(300000);
	hold_packets(pair, &young, 1, 1514);
	CHECK(xstat(port, "rx_zero_copy_oldest_ms") >= 299);
	free_all(&old, 0);
	CHECK(xstat(port, "rx_zero_copy_oldest_ms") < 299);
	free_all(&young, 0);
	CHECK_EQ(xstat(port, "rx_zero_copy_oldest_ms"), 0);
}

/* The receiving thread sleeps: whoever frees a packet gives its slot back. */
static void
lent_while_asleep(struct pair *pair)
{
	struct held held = { 0 };
	uint16_t port, client;

	CHECK_EQ(lender_up(pair, OPTIONS, &sleepy), 0);
	port = lender(pair)->id;
	client = borrowed_from(pair)->id;
	for (unsigned int round = 0; round < 500; round++) {
		hold_packets(pair, &held, SLOTS, 1514);
		CHECK_EQ(held.count, SLOTS);
		/* What is freed before goes back when it goes to sleep, ... */
		if (round % 2 != 0)
			free_all_elsewhere(&held, round);
		else
			CHECK_EQ(send_packets(client, 0, 1, 60), 0);
		CHECK_EQ(rte_eth_dev_rx_intr_enable(port, 0), 0);
		/* ... and then at once. */
		free_all_elsewhere(&held, round);
		CHECK_EQ(send_packets(client, 0, SLOTS, 60), SLOTS);
		CHECK_EQ(rte_eth_dev_rx_intr_disable(port, 0), 0);
		CHECK_EQ(take_packets(port, 0, SLOTS, 60), SLOTS);
	}
}

/* A packet that is cloned is back when its last clone is freed. */
static void
lent_clones(struct pair *pair)
{
	struct rte_mbuf *clones[3];
	struct held held = { 0 };
	uint16_t client;

	CHECK_EQ(lender_up(pair, OPTIONS, &plain), 0);
	client = borrowed_from(pair)->id;
	for (unsigned int round = 0; round < 200; round++) {
		hold_packets(pair, &held, 1, 1514);
		CHECK_EQ(held.count, 1);
		for (unsigned int i = 0; i < RTE_DIM(clones); i++) {
			clones[i] = rte_pktmbuf_clone(held.packets[0], mbufs);
			CHECK(clones[i] != NULL);
		}
		free_all(&held, 0);
		for (unsigned int i = 0; i < RTE_DIM(clones); i++) {
			CHECK(is_intact(clones[i], 1514));
			hold_packets(pair, &held, SLOTS - 1, 60);
			CHECK_EQ(held.count, i == 0 ? SLOTS - 1 : 0);
			CHECK_EQ(send_packets(client, 0, 1, 60), 0);
			free_all(&held, 0);
			rte_pktmbuf_free(clones[i]);
		}
		CHECK_EQ(rte_eth_rx_burst(lender(pair)->id, 0, held.packets, 1), 0);
	}
}

const struct test_case lent_cases[] = {
	{ "lent-or-copied", lent_or_copied },
	{ "lent-chains", lent_chains },
	{ "lent-freed-in-disorder", lent_freed_in_disorder },
	{ "lent-for-long", lent_for_long },
	{ "lent-oldest", lent_oldest },
	{ "lent-while-asleep", lent_while_asleep },
	{ "lent-clones", lent_clones },
	{ NULL, NULL },
};

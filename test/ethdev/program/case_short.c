/* SPDX-License-Identifier: BSD-3-Clause */

/* Zero-copy transmit of a client: bursts of short packets are copied, and their mbufs free at once. */

#include <rte_ethdev.h>

#include "check.h"
#include "lent.h"

#define COPY ",rsize=6"
#define ZERO_COPY ",rsize=6,zero-copy=yes"
#define SLOTS 64u
#define SHORT 64u /* the longest one by default */
#define LONG 1000u
#define ROUNDS 5000u

static const struct setup plain = { 0 };

/* A client with these options, and a server that copies. */
static int
sender_up(struct pair *pair, const char *options, uint16_t *client, uint16_t *server)
{
	int ret = pair_up_as(pair, COPY, &plain, options, &plain);

	*client = client_of(pair);
	*server = server_of(pair);
	return ret;
}

static uint64_t
copied_short(uint16_t client)
{
	return xstat(client, "tx_copied_short_segments");
}

/* How many of 16 mbufs a client keeps when it has sent packets of this length. */
static void
keeps(struct pair *pair, const char *options, uint32_t length, unsigned int kept)
{
	uint16_t client, server;
	unsigned int before;

	CHECK_EQ(sender_up(pair, options, &client, &server), 0);
	before = mbufs_in_use();
	CHECK_EQ(send_packets(client, 0, 16, length), 16);
	CHECK_EQ(mbufs_in_use(), before + kept);
	CHECK_EQ(copied_short(client), 16 - kept);
	CHECK_EQ(take_packets(server, 0, 32, length), 16);
	rte_eth_tx_done_cleanup(client, 0, 0);
	CHECK_EQ(mbufs_in_use(), before);
	pair_detach(pair);
}

static void
up_to_the_option(struct pair *pair)
{
	STEP(keeps(pair, ZERO_COPY, SHORT, 0));
	STEP(keeps(pair, ZERO_COPY, SHORT + 1, 16));
	STEP(keeps(pair, ZERO_COPY ",tx-copybreak=0", SHORT, 16));
	STEP(keeps(pair, ZERO_COPY ",tx-copybreak=300", 300, 0));
	STEP(keeps(pair, ZERO_COPY ",tx-copybreak=300", 301, 16));
	/* The longest one that a buffer of the ring holds. */
	STEP(keeps(pair, ZERO_COPY ",tx-copybreak=65535,bsize=500", 500, 0));
}

/* One long packet among them: all are shared. */
static void
only_short_bursts(struct pair *pair)
{
	struct rte_mbuf *burst[3];
	uint16_t client, server;
	unsigned int before;

	CHECK_EQ(sender_up(pair, ZERO_COPY, &client, &server), 0);
	before = mbufs_in_use();
	for (unsigned int i = 0; i < RTE_DIM(burst); i++) {
		burst[i] = new_packet(mbufs, i == 1 ? LONG : SHORT);
		CHECK(burst[i] != NULL);
	}
	CHECK_EQ(rte_eth_tx_burst(client, 0, burst, 3), 3);
	CHECK_EQ(mbufs_in_use(), before + 3);
	CHECK_EQ(copied_short(client), 0);
	CHECK_EQ(rte_eth_rx_burst(server, 0, burst, 3), 3);
	for (unsigned int i = 0; i < RTE_DIM(burst); i++)
		CHECK(is_intact(burst[i], i == 1 ? LONG : SHORT));
	rte_pktmbuf_free_bulk(burst, 3);
}

/* Mbufs that are kept come back with bursts that keep none, as with any burst. */
static void
long_ones_come_back(struct pair *pair)
{
	uint16_t client, server;
	unsigned int before;

	CHECK_EQ(sender_up(pair, ZERO_COPY, &client, &server), 0);
	before = mbufs_in_use();
	CHECK_EQ(send_packets(client, 0, 16, LONG), 16);
	CHECK_EQ(send_packets(client, 0, 16, SHORT), 16);
	CHECK_EQ(mbufs_in_use(), before + 16);
	CHECK_EQ(take_packets(server, 0, 16, LONG), 16);
	CHECK_EQ(send_packets(client, 0, 1, SHORT), 1);
	CHECK_EQ(mbufs_in_use(), before);
	CHECK_EQ(take_packets(server, 0, 32, SHORT), 17);
	CHECK_EQ(rte_eth_tx_done_cleanup(client, 0, 0), 0);
}

/* An mbuf that somebody else uses too is still his. */
static void
shared_ones(struct pair *pair)
{
	struct rte_mbuf *packet, *copy;
	uint16_t client, server;
	unsigned int before;

	CHECK_EQ(sender_up(pair, ZERO_COPY, &client, &server), 0);
	before = mbufs_in_use();
	packet = new_packet(mbufs, SHORT);
	CHECK(packet != NULL);
	rte_mbuf_refcnt_update(packet, 1);
	CHECK_EQ(rte_eth_tx_burst(client, 0, &packet, 1), 1);
	CHECK_EQ(rte_mbuf_refcnt_read(packet), 1);
	CHECK(is_intact(packet, SHORT));
	rte_pktmbuf_free(packet);
	CHECK_EQ(rte_eth_rx_burst(server, 0, &copy, 1), 1);
	CHECK(is_intact(copy, SHORT));
	rte_pktmbuf_free(copy);
	CHECK_EQ(mbufs_in_use(), before);
}

/* Bursts of either, of any size: each mbuf is back, once. */
static void
short_and_long(struct pair *pair)
{
	uint16_t client, server, sent, length;
	unsigned int before, longs = 0, turn = 1;

	CHECK_EQ(sender_up(pair, ZERO_COPY, &client, &server), 0);
	before = mbufs_in_use();
	for (unsigned int round = 0; round < ROUNDS; round++) {
		turn = turn * 1103515245u + 12345u;
		length = (turn >> 16 & 1) != 0 ? SHORT : LONG;
		sent = send_packets(client, 0, (uint16_t)(1 + (turn >> 20) % SLOTS), length);
		CHECK(sent != 0);
		longs = length == LONG ? sent : 0;
		CHECK_EQ(mbufs_in_use(), before + longs);
		CHECK_EQ(take_packets(server, 0, SLOTS, length), sent);
		if ((turn >> 28 & 1) != 0)
			CHECK_EQ(rte_eth_tx_done_cleanup(client, 0, 0), (int)longs);
	}
	CHECK(copied_short(client) > ROUNDS);
	CHECK_EQ(rte_eth_tx_burst(client, 0, NULL, 0), 0);
	CHECK_EQ(mbufs_in_use(), before);
}

const struct test_case short_cases[] = {
	{ "short-up-to-the-option", up_to_the_option },
	{ "short-bursts-only", only_short_bursts },
	{ "short-long-ones-come-back", long_ones_come_back },
	{ "short-shared", shared_ones },
	{ "short-and-long", short_and_long },
	{ NULL, NULL },
};

/* SPDX-License-Identifier: BSD-3-Clause */

/* Long packets: over several buffers and mbufs, or dropped and counted; never cut. */

#include <rte_ethdev.h>

#include "check.h"

static const struct setup plain = { 0 };
static const struct setup scatter = { .rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER };

/* Up to the longest IP packet, 64 slots of it with buffers of 1024 bytes. */
static void
jumbo(struct pair *pair)
{
	static const uint32_t lengths[] = { 1, 2047, 2048, 2049, 4096, 4097, 9014, 9018, 16384,
		32767, 65535, 65535 + 14 };
	const char *const options[] = { "", ",bsize=1024,rsize=7", ",bsize=9216", ",bsize=65535" };

	for (unsigned int i = 0; i < RTE_DIM(options); i++) {
		CHECK_EQ(pair_up(pair, options[i], &scatter, &scatter), 0);
		for (unsigned int j = 0; j < RTE_DIM(lengths); j++) {
			CHECK_EQ(send_packets(pair->peer.id, 0, 1, lengths[j]), 1);
			CHECK_EQ(take_packets(pair->port.id, 0, 32, lengths[j]), 1);
			CHECK_EQ(send_packets(pair->port.id, 0, 1, lengths[j]), 1);
			CHECK_EQ(take_packets(pair->peer.id, 0, 32, lengths[j]), 1);
		}
		CHECK_EQ(xstat(pair->port.id, "rx_too_long_packets"), 0);
		CHECK_EQ(xstat(pair->port.id, "tx_too_long_packets"), 0);
		pair_detach(pair);
	}
}

/* Bursts of 9014 bytes, so that the ring is full and chains lie across its end. */
static void
jumbo_bursts(struct pair *pair)
{
	uint32_t sent = 0, taken = 0;

	CHECK_EQ(pair_up(pair, ",rsize=6", &scatter, &scatter), 0);
	for (int round = 0; round < 2000; round++) {
		sent += send_packets(pair->peer.id, 0, 1 + round % 16, 9014);
		taken += take_packets(pair->port.id, 0, 1 + round % 7, 9014);
	}
	for (int round = 0; round < 64; round++)
		taken += take_packets(pair->port.id, 0, 1, 9014);
	CHECK(sent > 2000);
	CHECK_EQ(taken, sent);
	CHECK(xstat(pair->peer.id, "tx_ring_full_bursts") > 0);
}

/* Without scatter, a packet of more bytes than an mbuf has is dropped, and those around it are not. */
static void
too_long_to_receive(struct pair *pair)
{
	struct rte_eth_stats stats;
	uint16_t port, peer;

	CHECK_EQ(pair_up(pair, "", &plain, &plain), 0);
	port = pair->port.id;
	peer = pair->peer.id;
	for (uint64_t round = 1; round <= 100; round++) {
		CHECK_EQ(send_packets(peer, 0, 3, MBUF_ROOM), 3);
		CHECK_EQ(send_packets(peer, 0, 2, MBUF_ROOM + 1), 2);
		CHECK_EQ(send_packets(peer, 0, 1, 9000), 1);
		CHECK_EQ(send_packets(peer, 0, 3, MBUF_ROOM), 3);
		CHECK_EQ(take_packets(port, 0, 32, MBUF_ROOM), 6);
		CHECK_EQ(take_packets(port, 0, 32, MBUF_ROOM), 0);
		CHECK_EQ(rte_eth_stats_get(port, &stats), 0);
		CHECK_EQ(stats.ipackets, 6 * round);
		CHECK_EQ(stats.ibytes, 6 * round * MBUF_ROOM);
		CHECK_EQ(stats.ierrors, 3 * round);
		CHECK_EQ(xstat(port, "rx_too_long_packets"), 3 * round);
		CHECK_EQ(xstat(port, "rx_q0_errors"), 3 * round);
		CHECK_EQ(stats.imissed + stats.rx_nombuf, 0);
	}
}

/* What no ring can hold is dropped by its sender; what has to wait, waits. */
static void
too_long_to_send(struct pair *pair)
{
	struct rte_eth_stats stats;
	uint16_t port, peer;

	CHECK_EQ(pair_up(pair, ",rsize=2,bsize=512", &scatter, &scatter), 0);
	port = pair->port.id;
	peer = pair->peer.id;
	for (uint64_t round = 1; round <= 100; round++) {
		CHECK_EQ(send_packets(port, 0, 1, 4 * 512 + 1), 1);
		CHECK_EQ(send_packets(port, 0, 1, 4 * 512), 1);
		CHECK_EQ(send_packets(port, 0, 1, 60), 0);
		CHECK_EQ(take_packets(peer, 0, 32, 4 * 512), 1);
		CHECK_EQ(rte_eth_stats_get(port, &stats), 0);
		CHECK_EQ(stats.opackets, round);
		CHECK_EQ(stats.oerrors, round);
		CHECK_EQ(xstat(port, "tx_too_long_packets"), round);
	}
}

const struct test_case packet_cases[] = {
	{ "jumbo", jumbo },
	{ "jumbo-bursts", jumbo_bursts },
	{ "too-long-to-receive", too_long_to_receive },
	{ "too-long-to-send", too_long_to_send },
	{ NULL, NULL },
};

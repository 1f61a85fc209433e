/* SPDX-License-Identifier: BSD-3-Clause */

/* TCP segmentation on transmit: what a long packet is divided into. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_ethdev.h>

#include "check.h"
#include "network.h"

#define ATTEMPTS 100000

static const struct setup divide = {
	.tx_offloads = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM |
			RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_VLAN_INSERT,
};
static const struct setup scatter = { .rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER };

static struct flat whole, part;

static uint32_t
get32(const uint8_t *from)
{
	return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

/* The next packet has the next bytes, and headers that say so. Counts on. */
static void
check_part(const struct shape *shape, uint16_t size, uint32_t number, uint32_t *done)
{
	uint32_t bytes = RTE_MIN((uint32_t)size, shape->payload - *done);
	bool last = *done + bytes == shape->payload;
	uint8_t flags = 0x10 | (number == 0 ? 0x80 : 0) | (last ? 0x09 : 0);

	CHECK(flat_parse(&part));
	CHECK_EQ(part.payload + bytes, part.length);
	CHECK_EQ(part.l4_bytes, 20 + bytes);
	CHECK(flat_checksums_ok(&part));
	CHECK_EQ(get32(part.data + part.l4 + 4), get32(whole.data + whole.l4 + 4) + *done);
	CHECK_EQ(part.data[part.l4 + 13], flags);
	if (!shape->ip6)
		CHECK_EQ((part.data[part.l3 + 4] << 8 | part.data[part.l3 + 5]),
				(uint16_t)(shape->number + number));
	CHECK(memcmp(part.data + part.payload, whole.data + whole.payload + *done, bytes) == 0);
	*done += bytes;
}

static struct rte_mbuf *
make_long(const struct shape *shape, uint16_t size, enum layout layout)
{
	struct rte_mbuf *packet;

	flat_make(&whole, shape);
	packet = flat_to_mbuf(&whole, layout);
	if (packet == NULL)
		return NULL;
	packet->ol_flags |= shape_flags(shape) | RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_VLAN;
	packet->tso_segsz = size;
	packet->vlan_tci = 7;
	return packet;
}

/* Offer a packet until it is taken, and take what arrives meanwhile. */
static void
send_long(const struct pair *pair, const struct shape *shape, uint16_t size, enum layout layout)
{
	struct rte_mbuf *packet = make_long(shape, size, layout), *got;
	uint32_t done = 0, number = 0, wanted = RTE_MAX(1u, (shape->payload + size - 1) / size);
	bool sent = false;

	CHECK(packet != NULL);
	CHECK_EQ(rte_eth_tx_prepare(pair->port.id, 0, &packet, 1), 1);
	for (int i = 0; number < wanted; i++) {
		CHECK(i < ATTEMPTS);
		if (!sent)
			sent = rte_eth_tx_burst(pair->port.id, 0, &packet, 1) == 1;
		for (int j = 0; j <= i % 5 && rte_eth_rx_burst(pair->peer.id, 0, &got, 1) == 1;
				j++) {
			flat_from_mbuf(&part, got);
			rte_pktmbuf_free(got);
			STEP(check_part(shape, size, number++, &done));
		}
	}
	CHECK(sent);
	CHECK_EQ(done, shape->payload);
	CHECK_EQ(rte_eth_rx_burst(pair->peer.id, 0, &got, 1), 0);
	if (layout == LAYOUT_SHARED) {
		flat_from_mbuf(&part, packet);
		CHECK(memcmp(part.data, whole.data, whole.length) == 0);
		rte_pktmbuf_free(packet);
	}
}

static void
send_lengths(const struct pair *pair, uint16_t largest)
{
	static const struct {
		uint32_t payload;
		uint16_t size;
	} cases[] = { { 0, 1460 }, { 1, 1460 }, { 1460, 1460 }, { 1461, 1460 }, { 65000, 1460 },
		{ 65000, 536 }, { 30000, 9000 }, { 700, 1 }, { 5000, 65000 }, { 9001, 1001 } };
	struct shape shape = { .l2_bytes = 14 };

	for (unsigned int i = 0; i < RTE_DIM(cases) * LAYOUTS * 2; i++) {
		if (cases[i / LAYOUTS / 2].size > largest)
			continue;
		shape.payload = cases[i / LAYOUTS / 2].payload;
		shape.ip6 = i % 2 != 0;
		shape.options = i % 3 == 0 ? 8 : 0;
		shape.number = 65530;
		STEP(send_long(pair, &shape, cases[i / LAYOUTS / 2].size, i / 2 % LAYOUTS));
	}
}

static void
segments(struct pair *pair)
{
	CHECK_EQ(pair_up(pair, "", &divide, &scatter), 0);
	STEP(send_lengths(pair, UINT16_MAX));
	CHECK_EQ(xstat(pair->port.id, "tx_bad_offload_packets"), 0);
}

/* A ring that holds a few packets only: the rest is sent when the packet is offered again. */
static void
segments_of_a_full_ring(struct pair *pair)
{
	CHECK_EQ(pair_up(pair, ",rsize=2,bsize=600", &divide, &scatter), 0);
	STEP(send_lengths(pair, 4 * 600 - 100));
	CHECK_EQ(xstat(pair->port.id, "tx_bad_offload_packets"), 0);
	CHECK(xstat(pair->port.id, "tx_ring_full_bursts") > 0);
}

/* An application that gives up a packet in mid-way and offers another one: that one is sent whole. */
static void
another_packet(struct pair *pair)
{
	struct shape shape = { .l2_bytes = 14, .payload = 20000 };
	struct rte_mbuf *packet, *got;

	CHECK_EQ(pair_up(pair, ",rsize=3", &divide, &scatter), 0);
	for (uint32_t round = 0; round < 50; round++) {
		shape.number = 2 * round;
		packet = make_long(&shape, 1000, LAYOUT_PLAIN);
		CHECK(packet != NULL);
		CHECK_EQ(rte_eth_tx_burst(pair->port.id, 0, &packet, 1), 0);
		rte_pktmbuf_free(packet);
		for (uint32_t i = 0; i < 8; i++) {
			CHECK_EQ(rte_eth_rx_burst(pair->peer.id, 0, &got, 1), 1);
			rte_pktmbuf_free(got);
		}
		shape.number++;
		STEP(send_long(pair, &shape, 1000, LAYOUT_PLAIN));
	}
}

static void
wrong_segments(struct pair *pair)
{
	const struct shape shape = { .l2_bytes = 14, .payload = 3000 };
	struct rte_mbuf *packet;

	CHECK_EQ(pair_up(pair, "", &divide, &scatter), 0);
	for (uint64_t i = 0; i < 4; i++) {
		packet = make_long(&shape, i == 0 ? 0 : 1000, LAYOUT_PLAIN);
		CHECK(packet != NULL);
		if (i == 1)
			packet->l4_len = 24;
		if (i == 2)
			packet->l4_len = 0;
		if (i == 3)
			packet->ol_flags |= RTE_MBUF_F_TX_UDP_CKSUM;
		CHECK_EQ(rte_eth_tx_prepare(pair->port.id, 0, &packet, 1), 0);
		CHECK_EQ(rte_errno, EINVAL);
		CHECK_EQ(rte_eth_tx_burst(pair->port.id, 0, &packet, 1), 1);
		CHECK_EQ(xstat(pair->port.id, "tx_bad_offload_packets"), i + 1);
	}
	CHECK_EQ(rte_eth_rx_burst(pair->peer.id, 0, &packet, 1), 0);
}

const struct test_case tso_cases[] = {
	{ "segments", segments },
	{ "segments-full-ring", segments_of_a_full_ring },
	{ "segments-another", another_packet },
	{ "wrong-segments", wrong_segments },
	{ NULL, NULL },
};

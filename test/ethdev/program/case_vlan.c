/* SPDX-License-Identifier: BSD-3-Clause */

/* VLAN tags: inserted on transmit, stripped on receive. */

#include <errno.h>
#include <string.h>

#include <rte_ethdev.h>

#include "check.h"
#include "network.h"

#define TCI 0x6abc /* priority 3, VLAN 0xabc */

static const struct setup insert = {
	.tx_offloads = RTE_ETH_TX_OFFLOAD_VLAN_INSERT | RTE_ETH_TX_OFFLOAD_TCP_CKSUM,
};
static const struct setup scatter = { .rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER };
static const struct setup strip = {
	.rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER | RTE_ETH_RX_OFFLOAD_VLAN_STRIP,
};

static struct flat flat, after;

/* Send a packet with a tag to insert; what is received is in `after`. */
static void
send_tagged(const struct pair *pair, const struct shape *shape, enum layout layout, bool checksum,
		struct rte_mbuf *meta)
{
	struct rte_mbuf *packet, *got;

	flat_make(&flat, shape);
	packet = flat_to_mbuf(&flat, layout);
	CHECK(packet != NULL);
	packet->ol_flags |= RTE_MBUF_F_TX_VLAN | (checksum ? shape_flags(shape) : 0);
	packet->vlan_tci = TCI;
	CHECK_EQ(rte_eth_tx_burst(pair->port.id, 0, &packet, 1), 1);
	if (layout == LAYOUT_SHARED) {
		flat_from_mbuf(&after, packet);
		CHECK(after.length == flat.length &&
				memcmp(after.data, flat.data, flat.length) == 0);
		rte_pktmbuf_free(packet);
	}
	CHECK_EQ(rte_eth_rx_burst(pair->peer.id, 0, &got, 1), 1);
	flat_from_mbuf(&after, got);
	*meta = *got;
	rte_pktmbuf_free(got);
}

static void
vlan_insert(struct pair *pair)
{
	struct shape shape = { .l2_bytes = 14 };
	struct rte_mbuf meta;

	CHECK_EQ(pair_up(pair, "", &insert, &scatter), 0);
	for (int i = 0; i < LAYOUTS * 6; i++) {
		shape.payload = (uint32_t)(i / LAYOUTS) * 777;
		STEP(send_tagged(pair, &shape, i % LAYOUTS, false, &meta));
		CHECK_EQ(after.length, flat.length + 4);
		CHECK(memcmp(after.data, flat.data, 12) == 0);
		CHECK(memcmp(after.data + 12, "\x81\x00\x6a\xbc", 4) == 0);
		CHECK(memcmp(after.data + 16, flat.data + 12, flat.length - 12) == 0);
		CHECK_EQ(meta.ol_flags & RTE_MBUF_F_RX_VLAN, 0);
	}
}

/* The shortest frames: only addresses and type; less is no frame to insert a tag into. */
static void
vlan_insert_short(struct pair *pair)
{
	struct rte_mbuf *packet, *got;

	CHECK_EQ(pair_up(pair, "", &insert, &scatter), 0);
	for (uint16_t length = 0; length <= 16; length++) {
		packet = rte_pktmbuf_alloc(mbufs);
		CHECK(packet != NULL);
		memset(rte_pktmbuf_append(packet, length), 5, length);
		packet->ol_flags |= RTE_MBUF_F_TX_VLAN;
		CHECK_EQ(rte_eth_tx_burst(pair->port.id, 0, &packet, 1), 1);
		CHECK_EQ(rte_eth_rx_burst(pair->peer.id, 0, &got, 1), length >= 14);
		if (length >= 14) {
			CHECK_EQ(got->pkt_len, length + 4);
			rte_pktmbuf_free(got);
		}
	}
	CHECK_EQ(xstat(pair->port.id, "tx_bad_offload_packets"), 14);
}

/* Inserted here, stripped there: the same bytes, and the tag beside them. */
static void
vlan_strip(struct pair *pair)
{
	struct shape shape = { .l2_bytes = 14 };
	struct rte_mbuf meta;

	CHECK_EQ(pair_up(pair, "", &insert, &strip), 0);
	for (int i = 0; i < LAYOUTS * 6; i++) {
		shape.payload = (uint32_t)(i / LAYOUTS) * 777;
		shape.ip6 = i % 2 != 0;
		STEP(send_tagged(pair, &shape, i % LAYOUTS, true, &meta));
		CHECK(flat_is_right(&after, &shape));
		CHECK_EQ(meta.vlan_tci, TCI);
		CHECK_EQ(meta.pkt_len, flat.length);
		CHECK_EQ(meta.ol_flags & (RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED),
				RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED);
	}
}

/* Packets without a tag, and those too short for one, are as they were. */
static void
nothing_to_strip(struct pair *pair)
{
	uint8_t bytes[18] = { [12] = 0x81 };
	struct rte_mbuf *packet, *got;

	CHECK_EQ(pair_up(pair, "", &scatter, &strip), 0);
	for (uint16_t length = 1; length <= 18; length++) {
		packet = rte_pktmbuf_alloc(mbufs);
		CHECK(packet != NULL);
		memcpy(rte_pktmbuf_append(packet, length), bytes, length);
		CHECK_EQ(rte_eth_tx_burst(pair->port.id, 0, &packet, 1), 1);
		CHECK_EQ(rte_eth_rx_burst(pair->peer.id, 0, &got, 1), 1);
		CHECK_EQ(got->pkt_len, length == 18 ? 14 : length);
		CHECK_EQ((got->ol_flags & RTE_MBUF_F_RX_VLAN) != 0, length == 18);
		rte_pktmbuf_free(got);
	}
	CHECK_EQ(send_packets(pair->port.id, 0, 20, 1000), 20);
	CHECK_EQ(take_packets(pair->peer.id, 0, 32, 1000), 20);
}

static void
check_strip(const struct pair *pair, bool wanted)
{
	const struct shape shape = { .l2_bytes = 14, .payload = 100 };
	struct rte_eth_rxq_info info;
	struct rte_mbuf meta;

	STEP(send_tagged(pair, &shape, LAYOUT_PLAIN, false, &meta));
	CHECK_EQ(after.length, flat.length + (wanted ? 0 : 4));
	CHECK_EQ((meta.ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0, wanted);
	CHECK_EQ(rte_eth_rx_queue_info_get(pair->peer.id, 0, &info), 0);
	CHECK_EQ((info.conf.offloads & RTE_ETH_RX_OFFLOAD_VLAN_STRIP) != 0, wanted);
}

/* Switched while the port runs, for all queues and for one. */
static void
switch_strip(struct pair *pair)
{
	uint16_t peer;

	CHECK_EQ(pair_up(pair, "", &insert, &scatter), 0);
	peer = pair->peer.id;
	for (int round = 0; round < 3; round++) {
		STEP(check_strip(pair, false));
		CHECK_EQ(rte_eth_dev_set_vlan_offload(peer, RTE_ETH_VLAN_STRIP_OFFLOAD), 0);
		CHECK(rte_eth_dev_get_vlan_offload(peer) & RTE_ETH_VLAN_STRIP_OFFLOAD);
		STEP(check_strip(pair, true));
		CHECK_EQ(rte_eth_dev_set_vlan_offload(peer, 0), 0);
		STEP(check_strip(pair, false));
		CHECK_EQ(rte_eth_dev_set_vlan_strip_on_queue(peer, 0, 1), 0);
		STEP(check_strip(pair, true));
		CHECK_EQ(rte_eth_dev_stop(peer), 0);
		CHECK_EQ(rte_eth_dev_start(peer), 0);
		CHECK(pair_wait_link(pair, true));
		STEP(check_strip(pair, true));
		CHECK_EQ(rte_eth_dev_set_vlan_strip_on_queue(peer, 0, 0), 0);
	}
	/* What there is no software for is refused. */
	CHECK(rte_eth_dev_set_vlan_offload(peer, RTE_ETH_VLAN_FILTER_OFFLOAD) < 0);
	CHECK(rte_eth_dev_set_vlan_offload(peer, RTE_ETH_QINQ_STRIP_OFFLOAD) < 0);
}

/* A queue that lends packets of the client's memory does not while it strips: they would change. */
static void
strip_at_a_zero_copy_server(struct pair *pair)
{
	const struct shape shape = { .l2_bytes = 14, .payload = 1000 };
	bool server = strcmp(pair->port.role, "server") == 0;
	struct pair ends = { .port = server ? pair->peer : pair->port,
		.peer = server ? pair->port : pair->peer };
	struct rte_mbuf meta;

	memcpy(ends.socket, pair->socket, sizeof(ends.socket));
	CHECK_EQ(end_attach(&ends, &ends.port, ""), 0);
	CHECK_EQ(end_configure(&ends.port, &insert), 0);
	CHECK_EQ(end_attach(&ends, &ends.peer, ",zero-copy=yes"), 0);
	CHECK_EQ(end_configure(&ends.peer, &scatter), 0);
	CHECK_EQ(rte_eth_dev_start(ends.port.id), 0);
	CHECK_EQ(rte_eth_dev_start(ends.peer.id), 0);
	CHECK(pair_wait_link(&ends, true));
	for (int round = 0; round < 3; round++) {
		STEP(send_tagged(&ends, &shape, LAYOUT_PLAIN, false, &meta));
		CHECK(RTE_MBUF_HAS_EXTBUF(&meta));
		CHECK_EQ(meta.pkt_len, flat.length + 4);
		CHECK_EQ(rte_eth_dev_set_vlan_offload(ends.peer.id, RTE_ETH_VLAN_STRIP_OFFLOAD), 0);
		STEP(send_tagged(&ends, &shape, LAYOUT_PLAIN, false, &meta));
		CHECK(!RTE_MBUF_HAS_EXTBUF(&meta));
		CHECK_EQ(meta.pkt_len, flat.length);
		CHECK_EQ(meta.vlan_tci, TCI);
		CHECK_EQ(rte_eth_dev_set_vlan_offload(ends.peer.id, 0), 0);
	}
	end_detach(&ends.port);
	end_detach(&ends.peer);
}

const struct test_case vlan_cases[] = {
	{ "vlan-insert", vlan_insert },
	{ "vlan-insert-short", vlan_insert_short },
	{ "vlan-strip", vlan_strip },
	{ "nothing-to-strip", nothing_to_strip },
	{ "switch-strip", switch_strip },
	{ "strip-zero-copy", strip_at_a_zero_copy_server },
	{ NULL, NULL },
};

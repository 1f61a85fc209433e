/* SPDX-License-Identifier: BSD-3-Clause */

/* Checksums on transmit: right ones, of packets that nobody has written to. */

#include <errno.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_ethdev.h>

#include "check.h"
#include "network.h"

#define BURST 32

static const struct setup offloads = {
	.tx_offloads = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM |
			RTE_ETH_TX_OFFLOAD_UDP_CKSUM,
};
static const struct setup scatter = { .rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER };

static struct flat flat;

/* What the peer gets has right checksums; what was sent is as before, if somebody else has it. */
static void
send_one(const struct pair *pair, const struct shape *shape, enum layout layout)
{
	static struct flat after;
	struct rte_mbuf *packet, *got;

	flat_make(&flat, shape);
	packet = flat_to_mbuf(&flat, layout);
	CHECK(packet != NULL);
	packet->ol_flags |= shape_flags(shape);
	CHECK_EQ(rte_eth_tx_prepare(pair->port.id, 0, &packet, 1), 1);
	CHECK_EQ(rte_eth_tx_burst(pair->port.id, 0, &packet, 1), 1);
	if (layout == LAYOUT_SHARED) {
		flat_from_mbuf(&after, packet);
		CHECK_EQ(after.length, flat.length);
		CHECK(memcmp(after.data, flat.data, flat.length) == 0);
		rte_pktmbuf_free(packet);
	}
	CHECK_EQ(rte_eth_rx_burst(pair->peer.id, 0, &got, 1), 1);
	flat_from_mbuf(&flat, got);
	/* Nothing is verified on receive, and nothing is said. */
	CHECK_EQ(got->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK, RTE_MBUF_F_RX_IP_CKSUM_UNKNOWN);
	CHECK_EQ(got->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK, RTE_MBUF_F_RX_L4_CKSUM_UNKNOWN);
	rte_pktmbuf_free(got);
	CHECK(flat_is_right(&flat, shape));
}

static void
send_layouts(const struct pair *pair, const struct shape *shape)
{
	for (int layout = 0; layout < LAYOUTS; layout++)
		STEP(send_one(pair, shape, layout));
}

static void
checksums(struct pair *pair)
{
	static const uint32_t payloads[] = { 0, 1, 2, 3, 100, 180, 300, 1459, 1460, 4001, 9000,
		40000, 60001 };
	struct shape shape = { .l2_bytes = 14 };

	CHECK_EQ(pair_up(pair, "", &offloads, &scatter), 0);
	for (unsigned int i = 0; i < RTE_DIM(payloads) * 4; i++) {
		shape.payload = payloads[i / 4];
		shape.ip6 = (i & 1) != 0;
		shape.udp = (i & 2) != 0;
		shape.number = i * 977;
		STEP(send_layouts(pair, &shape));
		shape.options = 24;
		shape.l2_bytes = 18;
		shape.trailing = 5;
		STEP(send_layouts(pair, &shape));
		shape.options = 0;
		shape.l2_bytes = 14;
		shape.trailing = 0;
	}
	CHECK_EQ(xstat(pair->port.id, "tx_bad_offload_packets"), 0);
}

/* A sum of 0 is sent as 0xffff by UDP. All values of two bytes of payload, one of them makes it so. */
static void
checksum_of_zero(struct pair *pair)
{
	struct rte_mbuf *packet, *got;
	struct shape shape = { .l2_bytes = 14, .udp = true, .payload = 2 };
	uint32_t ones = 0;

	CHECK_EQ(pair_up(pair, "", &offloads, &scatter), 0);
	flat_make(&flat, &shape);
	for (uint32_t value = 0; value <= UINT16_MAX; value++) {
		flat_make(&flat, &shape);
		flat.data[flat.payload] = (uint8_t)(value >> 8);
		flat.data[flat.payload + 1] = (uint8_t)value;
		packet = flat_to_mbuf(&flat, LAYOUT_PLAIN);
		CHECK(packet != NULL);
		packet->ol_flags |= shape_flags(&shape);
		CHECK_EQ(rte_eth_tx_burst(pair->port.id, 0, &packet, 1), 1);
		CHECK_EQ(rte_eth_rx_burst(pair->peer.id, 0, &got, 1), 1);
		flat_from_mbuf(&flat, got);
		rte_pktmbuf_free(got);
		CHECK(flat_parse(&flat));
		CHECK(flat_checksums_ok(&flat));
		ones += flat.data[flat.l4 + 6] == 0xff && flat.data[flat.l4 + 7] == 0xff;
	}
	CHECK_EQ(ones, 1);
}

static struct rte_mbuf *
numbered(uint32_t number, struct shape *shape)
{
	struct rte_mbuf *packet;

	*shape = (struct shape){ .l2_bytes = 14, .ip6 = number % 2, .udp = number % 3 == 0 };
	shape->payload = number * 37 % 900;
	shape->number = number;
	flat_make(&flat, shape);
	packet = flat_to_mbuf(&flat, number % LAYOUTS);
	if (packet != NULL && number % LAYOUTS == LAYOUT_SHARED)
		rte_pktmbuf_refcnt_update(packet, -1);
	/* Some ask for nothing: then theirs are right already. */
	if (packet != NULL)
		packet->ol_flags |= shape_flags(shape);
	return packet;
}

/* The ring takes part of a burst again and again: nothing is lost, sent twice, or summed twice. */
static void
checksums_of_a_full_ring(struct pair *pair)
{
	struct rte_mbuf *offered[BURST], *got;
	uint32_t made = 0, taken = 0, waiting = 0;
	struct shape shape;
	uint16_t sent;

	CHECK_EQ(pair_up(pair, ",rsize=3", &offloads, &scatter), 0);
	while (taken < 3000) {
		for (; waiting < BURST; waiting++) {
			offered[waiting] = numbered(made++, &shape);
			CHECK(offered[waiting] != NULL);
		}
		sent = rte_eth_tx_burst(pair->port.id, 0, offered, BURST);
		CHECK(sent < BURST);
		waiting = BURST - sent;
		memmove(offered, offered + sent, waiting * sizeof(offered[0]));
		for (uint32_t i = 0; i < 1 + taken % 7; i++) {
			if (rte_eth_rx_burst(pair->peer.id, 0, &got, 1) == 0)
				break;
			rte_pktmbuf_free(numbered(taken++, &shape));
			flat_from_mbuf(&flat, got);
			rte_pktmbuf_free(got);
			CHECK(flat_is_right(&flat, &shape));
		}
	}
	rte_pktmbuf_free_bulk(offered, waiting);
	while (rte_eth_rx_burst(pair->peer.id, 0, &got, 1) == 1)
		rte_pktmbuf_free(got);
	CHECK(xstat(pair->port.id, "tx_ring_full_bursts") > 0);
}

/* Something that makes flags and packet not fit together. */
struct wrong {
	uint64_t flags; /* added */
	uint64_t without;
	int error;
	uint16_t l2, l3; /* added to the true lengths */
	uint16_t cut;	 /* bytes that are missing at the end */
	uint16_t at;	 /* a byte behind the Ethernet header that is another */
	uint8_t value;
};

static const struct wrong wrongs[] = {
	{ .flags = RTE_MBUF_F_TX_IPV6, .error = EINVAL },
	{ .without = RTE_MBUF_F_TX_IPV4, .error = EINVAL }, { .l2 = 1, .error = EINVAL },
	{ .l3 = 4, .error = EINVAL }, { .l3 = (uint16_t)-4, .error = EINVAL },
	{ .l3 = 400, .error = EINVAL }, { .cut = 1, .error = EINVAL },
	{ .cut = 110, .error = EINVAL }, { .cut = 140, .error = EINVAL },
	{ .at = 2, .value = 1, .error = EINVAL },		 /* 356 bytes, it says */
	{ .at = 6, .value = 0x20, .error = EINVAL },		 /* a fragment */
	{ .at = 9, .value = 17, .error = EINVAL },		 /* UDP */
	{ .at = 0, .value = 0x46, .error = EINVAL },		 /* has options */
	{ .at = 32, .value = 0x40, .error = EINVAL },		 /* a TCP header of 16 bytes */
	{ .at = 32, .value = 0xf0, .cut = 90, .error = EINVAL }, /* of 60: more than there is */
	{ .without = RTE_MBUF_F_TX_L4_MASK, .flags = RTE_MBUF_F_TX_SCTP_CKSUM, .error = ENOTSUP },
	{ .flags = RTE_MBUF_F_TX_OUTER_IP_CKSUM, .error = ENOTSUP },
	{ .flags = RTE_MBUF_F_TX_OUTER_UDP_CKSUM, .error = ENOTSUP },
	{ .flags = RTE_MBUF_F_TX_TUNNEL_VXLAN, .error = ENOTSUP },
	{ .flags = RTE_MBUF_F_TX_QINQ, .error = ENOTSUP },
	{ .flags = RTE_MBUF_F_TX_MACSEC, .error = ENOTSUP },
	{ .flags = RTE_MBUF_F_TX_SEC_OFFLOAD, .error = ENOTSUP },
	{ .flags = RTE_MBUF_F_TX_UDP_SEG, .error = ENOTSUP },
	{ .flags = RTE_MBUF_F_TX_TCP_SEG, .error = EINVAL }, /* into packets of 0 bytes */
};

static struct rte_mbuf *
make_wrong(const struct wrong *wrong, const struct shape *shape)
{
	struct rte_mbuf *packet;

	flat_make(&flat, shape);
	if (wrong->value != 0)
		flat.data[flat.l3 + wrong->at] = wrong->value;
	flat.length -= wrong->cut;
	packet = flat_to_mbuf(&flat, LAYOUT_PLAIN);
	if (packet == NULL)
		return NULL;
	packet->l2_len = (uint64_t)(packet->l2_len + wrong->l2);
	packet->l3_len = (uint64_t)(packet->l3_len + wrong->l3);
	packet->ol_flags |= shape_flags(shape);
	packet->ol_flags &= ~wrong->without;
	packet->ol_flags |= wrong->flags;
	return packet;
}

/* It is dropped and counted, and its neighbours are not. */
static void
send_wrong(const struct pair *pair, const struct wrong *wrong, uint64_t before)
{
	const struct shape shape = { .l2_bytes = 14, .payload = 100 };
	struct rte_mbuf *packets[3], *got[4];
	struct rte_eth_stats stats;

	packets[0] = make_wrong(&(struct wrong){ 0 }, &shape);
	packets[1] = make_wrong(wrong, &shape);
	packets[2] = make_wrong(&(struct wrong){ 0 }, &shape);
	CHECK(packets[0] != NULL && packets[1] != NULL && packets[2] != NULL);
	CHECK_EQ(rte_eth_tx_prepare(pair->port.id, 0, packets, 3), 1);
	CHECK_EQ(rte_errno, wrong->error);
	CHECK_EQ(rte_eth_tx_burst(pair->port.id, 0, packets, 3), 3);
	CHECK_EQ(rte_eth_rx_burst(pair->peer.id, 0, got, 4), 2);
	for (int i = 0; i < 2; i++) {
		flat_from_mbuf(&flat, got[i]);
		rte_pktmbuf_free(got[i]);
		CHECK(flat_is_right(&flat, &shape));
	}
	CHECK_EQ(xstat(pair->port.id, "tx_bad_offload_packets"), before + 1);
	CHECK_EQ(rte_eth_stats_get(pair->port.id, &stats), 0);
	CHECK_EQ(stats.oerrors, before + 1);
	CHECK_EQ(stats.opackets, 2 * (before + 1));
}

static void
wrong_flags(struct pair *pair)
{
	CHECK_EQ(pair_up(pair, "", &offloads, &scatter), 0);
	for (unsigned int i = 0; i < RTE_DIM(wrongs); i++)
		STEP(send_wrong(pair, &wrongs[i], i));
}

/* Without the offload nothing is looked at, nor changed, and there is nothing to prepare. */
static void
not_asked(struct pair *pair)
{
	const struct shape shape = { .l2_bytes = 14, .payload = 100 };
	struct rte_eth_burst_mode mode;
	struct rte_mbuf *packet, *got;
	static struct flat after;

	CHECK_EQ(pair_up(pair, "", &scatter, &scatter), 0);
	flat_make(&flat, &shape);
	packet = flat_to_mbuf(&flat, LAYOUT_PLAIN);
	CHECK(packet != NULL);
	packet->ol_flags |= shape_flags(&shape);
	CHECK_EQ(rte_eth_tx_prepare(pair->port.id, 0, &packet, 1), 1);
	CHECK_EQ(rte_eth_tx_burst(pair->port.id, 0, &packet, 1), 1);
	CHECK_EQ(rte_eth_rx_burst(pair->peer.id, 0, &got, 1), 1);
	flat_from_mbuf(&after, got);
	rte_pktmbuf_free(got);
	CHECK(memcmp(after.data, flat.data, flat.length) == 0);
	CHECK_EQ(rte_eth_tx_burst_mode_get(pair->port.id, 0, &mode), 0);
	CHECK(strstr(mode.info, "offload") == NULL);
	CHECK_EQ(rte_eth_dev_stop(pair->port.id), 0);
	CHECK_EQ(end_configure(&pair->port, &offloads), 0);
	CHECK_EQ(rte_eth_dev_start(pair->port.id), 0);
	CHECK_EQ(rte_eth_tx_burst_mode_get(pair->port.id, 0, &mode), 0);
	CHECK(strstr(mode.info, "offload") != NULL);
}

const struct test_case checksum_cases[] = {
	{ "checksums", checksums },
	{ "checksum-of-zero", checksum_of_zero },
	{ "checksums-full-ring", checksums_of_a_full_ring },
	{ "wrong-flags", wrong_flags },
	{ "not-asked", not_asked },
	{ NULL, NULL },
};

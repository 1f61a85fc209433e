/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * mode=ip: the Ethernet header that receive makes, and what transmit takes off; wherever segments
 * begin and end.
 */

#include <string.h>

#include <rte_byteorder.h>
#include <rte_ethdev.h>

#include "check.h"

#define FRAME_MAX 256
#define CUTS_MAX 3

static const struct setup plain = { 0 };
static const struct setup scatter = { .rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER };

/* A packet as an application makes it. */
struct frame {
	uint8_t bytes[FRAME_MAX];
	uint16_t length;
	uint16_t l2; /* bytes in front of the IP packet */
};

static void
add_type(struct frame *frame, uint16_t type)
{
	frame->bytes[frame->length++] = (uint8_t)(type >> 8);
	frame->bytes[frame->length++] = (uint8_t)type;
}

/* Addresses, so many tags, a type, and a payload of so many bytes of which the first is given. */
static struct frame
make_frame(unsigned int tags, uint16_t type, uint8_t first, uint16_t payload)
{
	struct frame frame = { .length = 2 * RTE_ETHER_ADDR_LEN };

	for (unsigned int i = 0; i < RTE_DIM(frame.bytes); i++)
		frame.bytes[i] = (uint8_t)(200 - i);
	for (unsigned int i = 0; i < tags; i++) {
		/* The outer one may be of either kind. */
		add_type(&frame, i + 1 < tags ? RTE_ETHER_TYPE_QINQ : RTE_ETHER_TYPE_VLAN);
		add_type(&frame, (uint16_t)(100 + i));
	}
	add_type(&frame, type);
	frame.l2 = frame.length;
	frame.length += payload;
	frame.bytes[frame.l2] = first;
	return frame;
}

static struct frame
ip_frame(unsigned int tags, int version, uint16_t payload)
{
	return version == 4 ? make_frame(tags, RTE_ETHER_TYPE_IPV4, 0x45, payload) :
			      make_frame(tags, RTE_ETHER_TYPE_IPV6, 0x60, payload);
}

/* Mbufs of the frame, cut at these places; two that are the same make an empty segment. */
static struct rte_mbuf *
mbuf_of(const struct frame *frame, const uint16_t *cuts, unsigned int count)
{
	struct rte_mbuf *head = NULL, *segment;
	uint16_t from = 0, to;

	for (unsigned int i = 0; i <= count; i++) {
		to = frame->length;
		if (cuts != NULL && i < count && cuts[i] < to)
			to = cuts[i] > from ? cuts[i] : from;
		segment = rte_pktmbuf_alloc(mbufs);
		if (segment == NULL)
			rte_panic("no mbufs left\n");
		memcpy(rte_pktmbuf_append(segment, (uint16_t)(to - from)), &frame->bytes[from],
				(size_t)(to - from));
		/* Who looks behind the packet finds IP there. */
		*rte_pktmbuf_mtod_offset(segment, uint8_t *, segment->data_len) = 0x45;
		if (head == NULL)
			head = segment;
		else if (rte_pktmbuf_chain(head, segment) != 0)
			rte_panic("too many segments\n");
		from = to;
	}
	return head;
}

static void
send_frame(uint16_t port, const struct frame *frame, const uint16_t *cuts, unsigned int count)
{
	struct rte_mbuf *mbuf = mbuf_of(frame, cuts, count);

	CHECK_EQ(rte_eth_tx_burst(port, 0, &mbuf, 1), 1);
}

/* What the documentation says of it: 02:6d and the id for a server, 06:6d for a client. */
static void
peer_mac(const struct end *end, uint32_t id, struct rte_ether_addr *mac)
{
	mac->addr_bytes[0] = strcmp(end->role, "client") == 0 ? 0x02 : 0x06;
	mac->addr_bytes[1] = 0x6d;
	for (int i = 0; i < 4; i++)
		mac->addr_bytes[2 + i] = (uint8_t)(id >> (24 - 8 * i));
}

/* The next packet that the end receives is this one behind a header of the driver's. */
static void
take_frame(const struct end *end, const struct frame *frame, uint32_t id)
{
	uint8_t bytes[FRAME_MAX];
	struct rte_ether_addr own, peer;
	struct rte_mbuf *mbuf = NULL;
	uint16_t l3 = frame->length - frame->l2;
	const uint8_t *got;

	CHECK_EQ(rte_eth_rx_burst(end->id, 0, &mbuf, 1), 1);
	CHECK_EQ(mbuf->pkt_len, RTE_ETHER_HDR_LEN + l3);
	got = rte_pktmbuf_read(mbuf, 0, mbuf->pkt_len, bytes);
	CHECK(got != NULL);
	CHECK_EQ(rte_eth_macaddr_get(end->id, &own), 0);
	peer_mac(end, id, &peer);
	CHECK(memcmp(got, &own, sizeof(own)) == 0);
	CHECK(memcmp(got + 6, &peer, sizeof(peer)) == 0);
	CHECK(rte_is_local_admin_ether_addr(&peer) && rte_is_unicast_ether_addr(&peer));
	/* The type as it was, without tags in front. */
	CHECK(memcmp(got + 12, &frame->bytes[frame->l2 - 2], 2) == 0);
	CHECK(memcmp(got + 14, &frame->bytes[frame->l2], l3) == 0);
	rte_pktmbuf_free(mbuf);
}

static void
pass_frame(const struct end *from, const struct end *to, const struct frame *frame, uint32_t id)
{
	STEP(send_frame(from->id, frame, NULL, 0));
	STEP(take_frame(to, frame, id));
}

/* Its addresses: our own as it is at that time, the peer's as documented. */
static void
header(struct pair *pair)
{
	struct rte_ether_addr mac = { .addr_bytes = { 0x02, 0x11, 0x22, 0x33, 0x44, 0x55 } };
	const struct frame v4 = ip_frame(0, 4, 100), v6 = ip_frame(0, 6, 100);
	const uint32_t id = 0x01a2b3c4;

	CHECK_EQ(pair_up(pair, ",mode=ip,id=27440068", &plain, &plain), 0);
	for (uint8_t round = 0; round < 4; round++) {
		STEP(pass_frame(&pair->peer, &pair->port, &v4, id));
		STEP(pass_frame(&pair->peer, &pair->port, &v6, id));
		STEP(pass_frame(&pair->port, &pair->peer, &v6, id));
		mac.addr_bytes[5] = round;
		CHECK_EQ(rte_eth_dev_default_mac_addr_set(pair->port.id, &mac), 0);
		STEP(pass_frame(&pair->peer, &pair->port, &v4, id));
	}
	/* Queues that are set up anew know it as well. */
	CHECK_EQ(rte_eth_dev_stop(pair->port.id), 0);
	CHECK_EQ(end_configure(&pair->port, &plain), 0);
	CHECK_EQ(rte_eth_dev_start(pair->port.id), 0);
	CHECK(pair_wait_link(pair, true));
	STEP(pass_frame(&pair->peer, &pair->port, &v4, id));
}

/* Bursts in which every packet is of the other version than the one before. */
static void
versions(struct pair *pair)
{
	struct rte_mbuf *burst[40];
	struct frame frame;

	CHECK_EQ(pair_up(pair, ",mode=ip", &plain, &plain), 0);
	for (unsigned int i = 0; i < RTE_DIM(burst); i++) {
		frame = ip_frame(i % 3, i % 2 == 0 ? 4 : 6, (uint16_t)(1 + i));
		burst[i] = mbuf_of(&frame, NULL, 0);
	}
	CHECK_EQ(rte_eth_tx_burst(pair->peer.id, 0, burst, RTE_DIM(burst)), RTE_DIM(burst));
	for (unsigned int i = 0; i < RTE_DIM(burst); i++) {
		frame = ip_frame(i % 3, i % 2 == 0 ? 4 : 6, (uint16_t)(1 + i));
		STEP(take_frame(&pair->port, &frame, 0));
	}
}

static void
cut_everywhere(struct pair *pair, const struct frame *frame)
{
	for (uint16_t first = 0; first <= frame->l2 + 2; first++) {
		const uint16_t cuts[][CUTS_MAX] = {
			{ first, frame->length, frame->length },
			{ first, first, first },
			{ 0, first, first + 1 },
			{ first, first + 1, frame->length - 1 },
		};

		for (unsigned int i = 0; i < RTE_DIM(cuts); i++) {
			STEP(send_frame(pair->peer.id, frame, cuts[i], CUTS_MAX));
			STEP(take_frame(&pair->port, frame, 0));
		}
	}
}

/* Segments that end anywhere in the header, behind it, or are empty; nothing empty is sent. */
static void
split_header(struct pair *pair)
{
	const char *const options[] = { ",mode=ip", ",mode=ip,bsize=1", ",mode=ip,bsize=16" };
	struct frame frame;

	for (unsigned int i = 0; i < RTE_DIM(options); i++) {
		CHECK_EQ(pair_up(pair, options[i], &plain, &plain), 0);
		for (unsigned int tags = 0; tags <= 2; tags++) {
			frame = ip_frame(tags, 4, 50);
			STEP(cut_everywhere(pair, &frame));
			frame = ip_frame(tags, 6, 1);
			STEP(cut_everywhere(pair, &frame));
		}
		CHECK_EQ(xstat(pair->peer.id, "tx_not_ip_packets"), 0);
		CHECK_EQ(xstat(pair->port.id, "rx_bad_descriptors"), 0);
		pair_detach(pair);
	}
}

static void
drop_frame(struct pair *pair, const struct frame *bad, uint64_t *dropped)
{
	const struct frame good = ip_frame(1, 4, 60);
	const uint16_t cuts[] = { 0, 7, 13 };
	struct rte_mbuf *burst[] = {
		mbuf_of(&good, NULL, 0),
		mbuf_of(bad, NULL, 0),
		mbuf_of(&good, NULL, 0),
		mbuf_of(bad, cuts, RTE_DIM(cuts)),
		mbuf_of(&good, NULL, 0),
	};
	struct rte_eth_stats stats;
	struct rte_mbuf *none;

	STEP(send_frame(pair->port.id, bad, NULL, 0));
	CHECK_EQ(rte_eth_tx_burst(pair->port.id, 0, burst, RTE_DIM(burst)), RTE_DIM(burst));
	for (int i = 0; i < 3; i++)
		STEP(take_frame(&pair->peer, &good, 0));
	CHECK_EQ(rte_eth_rx_burst(pair->peer.id, 0, &none, 1), 0);
	*dropped += 3;
	CHECK_EQ(xstat(pair->port.id, "tx_not_ip_packets"), *dropped);
	CHECK_EQ(rte_eth_stats_get(pair->port.id, &stats), 0);
	CHECK_EQ(stats.oerrors, *dropped);
	CHECK_EQ(stats.opackets, *dropped);
	CHECK_EQ(stats.obytes, stats.opackets * good.length);
	CHECK_EQ(rte_eth_stats_get(pair->peer.id, &stats), 0);
	CHECK_EQ(stats.ipackets, *dropped);
	CHECK_EQ(stats.ibytes, stats.ipackets * (RTE_ETHER_HDR_LEN + 60));
	CHECK_EQ(stats.ierrors, 0);
}

/* Dropped, counted and freed, and those around it are not. */
static void
not_ip(struct pair *pair)
{
	struct frame frames[] = {
		make_frame(0, RTE_ETHER_TYPE_ARP, 0x00, 28),
		make_frame(1, RTE_ETHER_TYPE_ARP, 0x45, 28),
		make_frame(0, RTE_ETHER_TYPE_LLDP, 0x45, 50),
		make_frame(0, 60, 0x45, 60),
		make_frame(0, 0, 0x00, 60),
		make_frame(0, 0, 0x45, 60),
		make_frame(0, RTE_ETHER_TYPE_IPV4, 0x65, 60),
		make_frame(2, RTE_ETHER_TYPE_IPV6, 0x45, 60),
		make_frame(0, RTE_ETHER_TYPE_IPV4, 0x00, 60),
		make_frame(0, RTE_ETHER_TYPE_IPV6, 0xff, 60),
		make_frame(3, RTE_ETHER_TYPE_IPV4, 0x45, 60),
		make_frame(1, RTE_ETHER_TYPE_MPLS, 0x45, 60),
		/* Nothing behind the header, and headers that end too early. */
		ip_frame(0, 4, 0),
		ip_frame(1, 6, 0),
		ip_frame(2, 4, 0),
		{ .bytes = "0123456789ab\x08", .length = 13 },
		{ .bytes = "0123456789ab\x81\x00__\x08", .length = 17 },
		{ .bytes = "\x45", .length = 1 },
	};
	uint64_t dropped = 0;

	CHECK_EQ(pair_up(pair, ",mode=ip", &plain, &plain), 0);
	for (unsigned int i = 0; i < RTE_DIM(frames); i++)
		STEP(drop_frame(pair, &frames[i], &dropped));
}

/* An application may use up to the MTU as in ethernet mode; padding of short frames stays. */
static void
lengths(struct pair *pair)
{
	const struct frame padded = ip_frame(0, 4, RTE_ETHER_MIN_LEN - RTE_ETHER_CRC_LEN - 14);
	struct rte_eth_dev_info info;
	struct rte_mbuf *mbuf;

	CHECK_EQ(pair_up(pair, ",mode=ip", &plain, &plain), 0);
	CHECK_EQ(rte_eth_dev_info_get(pair->port.id, &info), 0);
	CHECK_EQ(info.max_rx_pktlen, 65535 + 14 + 8);
	CHECK_EQ(info.max_mtu, 65535);
	STEP(pass_frame(&pair->peer, &pair->port, &padded, 0));
	/* Without scatter an mbuf holds MBUF_ROOM bytes, the header with them. */
	for (uint16_t length = MBUF_ROOM - 2; length < MBUF_ROOM + 2; length++) {
		mbuf = rte_pktmbuf_alloc(mbufs);
		CHECK(mbuf != NULL);
		/* Into the headroom, so that one segment holds it. */
		CHECK(rte_pktmbuf_prepend(mbuf, 64) != NULL);
		memcpy(rte_pktmbuf_mtod(mbuf, void *), padded.bytes, 64);
		CHECK(rte_pktmbuf_append(mbuf, (uint16_t)(length - 64)) != NULL);
		CHECK_EQ(rte_eth_tx_burst(pair->peer.id, 0, &mbuf, 1), 1);
		CHECK_EQ(rte_eth_rx_burst(pair->port.id, 0, &mbuf, 1), length <= MBUF_ROOM);
		if (length <= MBUF_ROOM) {
			CHECK_EQ(mbuf->pkt_len, length);
			rte_pktmbuf_free(mbuf);
		}
	}
	CHECK_EQ(xstat(pair->port.id, "rx_too_long_packets"), 1);
}

/* The longest IP packets, which arrive without their tags. */
static void
longest(struct pair *pair)
{
	struct rte_mbuf *mbuf, *more;
	struct frame frame;

	CHECK_EQ(pair_up(pair, ",mode=ip", &scatter, &scatter), 0);
	for (unsigned int tags = 0; tags <= 2; tags++) {
		frame = ip_frame(tags, 4, 235);
		mbuf = mbuf_of(&frame, NULL, 0);
		for (uint32_t left = 65535 - 235; left != 0; left -= more->data_len) {
			more = rte_pktmbuf_alloc(mbufs);
			CHECK(more != NULL);
			CHECK(rte_pktmbuf_append(more, RTE_MIN(left, (uint32_t)MBUF_ROOM)) != NULL);
			CHECK_EQ(rte_pktmbuf_chain(mbuf, more), 0);
		}
		CHECK_EQ(rte_eth_tx_burst(pair->peer.id, 0, &mbuf, 1), 1);
		CHECK_EQ(rte_eth_rx_burst(pair->port.id, 0, &mbuf, 1), 1);
		CHECK_EQ(mbuf->pkt_len, 65535 + 14);
		rte_pktmbuf_free(mbuf);
	}
}

const struct test_case ip_cases[] = {
	{ "ip-header", header },
	{ "ip-versions", versions },
	{ "ip-split-header", split_header },
	{ "ip-not-ip", not_ip },
	{ "ip-lengths", lengths },
	{ "ip-longest", longest },
	{ NULL, NULL },
};

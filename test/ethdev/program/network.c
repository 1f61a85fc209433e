/* SPDX-License-Identifier: BSD-3-Clause */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_malloc.h>
#include <rte_mbuf.h>

#include "network.h"
#include "ports.h"

#define TCP 6
#define UDP 17
#define PIECE 7 /* bytes of a small segment */

static void
put16(uint8_t *to, uint32_t value)
{
	to[0] = (uint8_t)(value >> 8);
	to[1] = (uint8_t)value;
}

static uint16_t
get16(const uint8_t *from)
{
	return (uint16_t)(from[0] << 8 | from[1]);
}

static void
make_ip4(struct flat *flat, const struct shape *shape)
{
	uint8_t *ip = flat->data + flat->l3;

	ip[0] = (uint8_t)(0x40 | (20 + shape->options) / 4);
	put16(ip + 2, (uint32_t)(flat->l4 - flat->l3 + flat->l4_bytes));
	put16(ip + 4, shape->number);
	ip[8] = 64;
	ip[9] = shape->udp ? UDP : TCP;
	put16(ip + 10, 0xbeef);
	memcpy(ip + 12, "\x0a\x00\x00\x01\x0a\x00\x00\xff", 8);
	memset(ip + 20, 1, shape->options);
}

/* An extension header without a meaning: destination options, padded. */
static void
make_ip6(struct flat *flat, const struct shape *shape)
{
	uint8_t *ip = flat->data + flat->l3;
	uint8_t protocol = shape->udp ? UDP : TCP;

	ip[0] = 0x60;
	put16(ip + 4, (uint32_t)(shape->options + flat->l4_bytes));
	ip[6] = shape->options != 0 ? 60 : protocol;
	ip[7] = 64;
	for (int i = 0; i < 32; i++)
		ip[8 + i] = (uint8_t)(0xfd + i * 3);
	if (shape->options == 0)
		return;
	ip[40] = protocol;
	ip[41] = (uint8_t)(shape->options / 8 - 1);
	ip[42] = 1;
	ip[43] = (uint8_t)(shape->options - 4);
	memset(ip + 44, 0, shape->options - 4u);
}

static void
make_l4(struct flat *flat, const struct shape *shape)
{
	uint8_t *l4 = flat->data + flat->l4;

	put16(l4, 1024);
	put16(l4 + 2, 80);
	if (shape->udp) {
		put16(l4 + 4, flat->l4_bytes);
		put16(l4 + 6, 0xbeef);
		return;
	}
	put16(l4 + 4, shape->number);
	put16(l4 + 6, 1000);
	put16(l4 + 10, 7);
	l4[12] = 5 << 4;
	l4[13] = 0x99; /* CWR, ACK, PSH, FIN */
	put16(l4 + 16, 0xbeef);
}

void
flat_make(struct flat *flat, const struct shape *shape)
{
	uint32_t l4_header = shape->udp ? 8 : 20;
	uint32_t ip_header = shape->ip6 ? 40 : 20;

	memset(flat, 0, sizeof(*flat));
	flat->l3 = shape->l2_bytes;
	flat->l4 = (uint16_t)(shape->l2_bytes + ip_header + shape->options);
	flat->l4_bytes = (uint16_t)(l4_header + shape->payload);
	flat->payload = (uint16_t)(flat->l4 + l4_header);
	flat->length = flat->payload + shape->payload + shape->trailing;
	memcpy(flat->data, "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02", 12);
	for (uint32_t i = 12; i + 2 < shape->l2_bytes; i += 4) {
		put16(flat->data + i, 0x8100);
		put16(flat->data + i + 2, 5);
	}
	put16(flat->data + shape->l2_bytes - 2, shape->ip6 ? 0x86dd : 0x0800);
	if (shape->ip6)
		make_ip6(flat, shape);
	else
		make_ip4(flat, shape);
	make_l4(flat, shape);
	for (uint32_t i = 0; i < shape->payload + shape->trailing; i++)
		flat->data[flat->payload + i] = (uint8_t)(i * 13 + shape->number + (i >> 8));
}

bool
flat_parse(struct flat *flat)
{
	const uint8_t *ip;
	uint8_t protocol;

	flat->l3 = 14;
	while (get16(flat->data + flat->l3 - 2) == 0x8100)
		flat->l3 = (uint16_t)(flat->l3 + 4);
	ip = flat->data + flat->l3;
	if (ip[0] >> 4 == 4) {
		flat->l4 = (uint16_t)(flat->l3 + (ip[0] & 15) * 4);
		flat->l4_bytes = (uint16_t)(get16(ip + 2) - (ip[0] & 15) * 4);
		protocol = ip[9];
	} else {
		flat->l4 = (uint16_t)(flat->l3 + 40);
		flat->l4_bytes = get16(ip + 4);
		protocol = ip[6];
		if (protocol == 60) {
			protocol = ip[40];
			flat->l4 = (uint16_t)(flat->l4 + (ip[41] + 1) * 8);
			flat->l4_bytes = (uint16_t)(flat->l4_bytes - (ip[41] + 1) * 8);
		}
	}
	flat->payload = (uint16_t)(flat->l4 + (protocol == UDP ? 8 : 20));
	return (protocol == TCP || protocol == UDP) &&
			(uint32_t)flat->l4 + flat->l4_bytes <= flat->length;
}

/* RFC 1071, as it is written there: words added, the last byte padded, carries folded. */
static uint32_t
add_words(uint32_t sum, const uint8_t *data, uint32_t length)
{
	for (uint32_t i = 0; i < length; i++)
		sum += i % 2 == 0 ? (uint32_t)data[i] << 8 : data[i];
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

bool
flat_checksums_ok(const struct flat *flat)
{
	const uint8_t *ip = flat->data + flat->l3, *l4 = flat->data + flat->l4;
	bool ip4 = ip[0] >> 4 == 4, udp = flat->payload - flat->l4 == 8;
	uint32_t sum = flat->l4_bytes + (udp ? UDP : TCP);

	if (ip4 && add_words(0, ip, (uint32_t)(flat->l4 - flat->l3)) != 0xffff)
		return false;
	/* A UDP checksum of 0 says that there is none. */
	if (udp && get16(l4 + 6) == 0)
		return false;
	sum = add_words(sum, ip4 ? ip + 12 : ip + 8, ip4 ? 8 : 32);
	return add_words(sum, l4, flat->l4_bytes) == 0xffff;
}

static void
clear_checksums(struct flat *flat)
{
	uint16_t at = flat->payload - flat->l4 == 8 ? 6 : 16;

	if (flat->data[flat->l3] >> 4 == 4)
		put16(flat->data + flat->l3 + 10, 0);
	put16(flat->data + flat->l4 + at, 0);
}

bool
flat_is_right(const struct flat *flat, const struct shape *shape)
{
	static struct flat want, have;

	flat_make(&want, shape);
	have = *flat;
	if (have.length != want.length || !flat_parse(&have) || have.l4 != want.l4 ||
			have.payload != want.payload) {
		printf("a packet of %u bytes, not %u, or with other headers\n", have.length,
				want.length);
		return false;
	}
	if (!flat_checksums_ok(&have)) {
		printf("wrong checksum: IPv%d, %s, payload %u\n", shape->ip6 ? 6 : 4,
				shape->udp ? "UDP" : "TCP", shape->payload);
		return false;
	}
	clear_checksums(&have);
	clear_checksums(&want);
	if (memcmp(have.data, want.data, want.length) == 0)
		return true;
	printf("other bytes than the checksums have changed\n");
	return false;
}

void
flat_from_mbuf(struct flat *flat, const struct rte_mbuf *mbuf)
{
	memset(flat, 0, sizeof(*flat));
	for (; mbuf != NULL; mbuf = mbuf->next) {
		memcpy(flat->data + flat->length, rte_pktmbuf_mtod(mbuf, const void *),
				mbuf->data_len);
		flat->length += mbuf->data_len;
	}
}

static struct rte_mbuf *
in_segments(const struct flat *flat, uint32_t piece, bool no_headroom)
{
	struct rte_mbuf *head = NULL, *segment;
	uint32_t done = 0, part;

	while (done < flat->length) {
		segment = rte_pktmbuf_alloc(mbufs);
		if (segment == NULL) {
			rte_pktmbuf_free(head);
			return NULL;
		}
		if (no_headroom)
			segment->data_off = 0;
		part = RTE_MIN(piece, flat->length - done);
		part = RTE_MIN(part, (uint32_t)rte_pktmbuf_tailroom(segment));
		memcpy(rte_pktmbuf_append(segment, (uint16_t)part), flat->data + done, part);
		done += part;
		if (head == NULL)
			head = segment;
		else
			rte_pktmbuf_chain(head, segment);
		/* Small ones only in front, where the headers are. */
		if (done > 150)
			piece = UINT32_MAX;
	}
	return head;
}

static void
free_external(void *addr, void *opaque)
{
	RTE_SET_USED(opaque);
	rte_free(addr);
}

static struct rte_mbuf *
external(const struct flat *flat)
{
	uint16_t room = UINT16_MAX;
	struct rte_mbuf_ext_shared_info *info;
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(mbufs);
	uint8_t *buffer = rte_malloc(NULL, room, 0);

	if (mbuf == NULL || buffer == NULL)
		return NULL;
	info = rte_pktmbuf_ext_shinfo_init_helper(buffer, &room, free_external, NULL);
	rte_pktmbuf_attach_extbuf(mbuf, buffer, rte_malloc_virt2iova(buffer), room, info);
	memcpy(rte_pktmbuf_append(mbuf, (uint16_t)flat->length), flat->data, flat->length);
	return mbuf;
}

static struct rte_mbuf *
indirect(const struct flat *flat)
{
	struct rte_mbuf *whole = in_segments(flat, UINT32_MAX, false);
	struct rte_mbuf *clone = whole == NULL ? NULL : rte_pktmbuf_clone(whole, mbufs);

	rte_pktmbuf_free(whole);
	return clone;
}

struct rte_mbuf *
flat_to_mbuf(const struct flat *flat, enum layout layout)
{
	struct rte_mbuf *mbuf;

	if (layout == LAYOUT_EXTERNAL && flat->length < 60000)
		mbuf = external(flat);
	else if (layout == LAYOUT_INDIRECT)
		mbuf = indirect(flat);
	else
		mbuf = in_segments(flat, layout == LAYOUT_PIECES ? PIECE : UINT32_MAX,
				layout == LAYOUT_NO_HEADROOM);
	if (mbuf == NULL)
		return NULL;
	if (layout == LAYOUT_SHARED)
		rte_pktmbuf_refcnt_update(mbuf, 1);
	mbuf->l2_len = flat->l3;
	mbuf->l3_len = (uint64_t)(flat->l4 - flat->l3);
	mbuf->l4_len = (uint64_t)(flat->payload - flat->l4);
	return mbuf;
}

uint64_t
shape_flags(const struct shape *shape)
{
	return (shape->ip6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM) |
			(shape->udp ? RTE_MBUF_F_TX_UDP_CKSUM : RTE_MBUF_F_TX_TCP_CKSUM);
}

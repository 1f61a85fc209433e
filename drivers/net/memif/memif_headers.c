/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <rte_byteorder.h>
#include <rte_common.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "memif_headers.h"

/* Offsets in headers. The structs of DPDK differ between its releases. */
enum {
	ETHERNET_BYTES = 14,
	TYPE_AT = 12,
	IP_BYTES_MIN = 20,
	IP_TOTAL_AT = 2,
	IP_ID_AT = 4,
	IP_FRAGMENT_AT = 6,
	IP_PROTOCOL_AT = 9,
	IP_CHECKSUM_AT = 10,
	IP_ADDRESSES_AT = 12,
	IP_ADDRESSES_BYTES = 8,
	IP6_BYTES = 40,
	IP6_PAYLOAD_AT = 4,
	IP6_NEXT_AT = 6,
	IP6_ADDRESSES_AT = 8,
	IP6_ADDRESSES_BYTES = 32,
	TCP_BYTES_MIN = 20,
	TCP_SEQUENCE_AT = 4,
	TCP_BYTES_AT = 12,
	TCP_FLAGS_AT = 13,
	TCP_CHECKSUM_AT = 16,
	UDP_BYTES = 8,
	UDP_BYTES_AT = 4,
	UDP_CHECKSUM_AT = 6,
};

#define FRAGMENT_MASK 0x3fff /* more fragments, or not the first one */

/* Tunnels, and what memif has no field for and no software of ours does. */
#define REFUSED_FLAGS \
	(MIF_TX_FLAGS & \
			~(RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_VLAN | \
					RTE_MBUF_F_TX_TCP_SEG))

static uint16_t
get16(const uint8_t *from)
{
	return (uint16_t)(from[0] << 8 | from[1]);
}

static void
put16(uint8_t *to, uint32_t value)
{
	to[0] = (uint8_t)(value >> 8);
	to[1] = (uint8_t)value;
}

static uint32_t
get32(const uint8_t *from)
{
	return (uint32_t)get16(from) << 16 | get16(from + 2);
}

static void
put32(uint8_t *to, uint32_t value)
{
	put16(to, value >> 16);
	put16(to + 2, value);
}

uint32_t
mif_place_read(struct mif_place *place, uint8_t *to, uint32_t bytes)
{
	uint32_t done = 0, part;

	while (done < bytes) {
		part = RTE_MIN(bytes - done, place->segment->data_len - place->offset);
		memcpy(to + done,
				rte_pktmbuf_mtod_offset(place->segment, const uint8_t *,
						place->offset),
				part);
		place->offset += part;
		done += part;
		if (done == bytes || place->segment->next == NULL)
			break;
		place->segment = place->segment->next;
		place->offset = 0;
		place->before++;
	}
	return done;
}

static uint32_t
chain_bytes(const struct rte_mbuf *mbuf)
{
	uint32_t bytes = 0;

	for (; mbuf != NULL; mbuf = mbuf->next)
		bytes += mbuf->data_len;
	return bytes;
}

/* What the flags say, and how many bytes at the front that takes. */
static int
read_flags(struct mif_edit *edit, const struct rte_mbuf *mbuf)
{
	uint64_t flags = mbuf->ol_flags;
	uint64_t l4 = flags & RTE_MBUF_F_TX_L4_MASK;
	bool divide = (flags & RTE_MBUF_F_TX_TCP_SEG) != 0;
	bool ip6 = (flags & RTE_MBUF_F_TX_IPV6) != 0;
	uint32_t l4_bytes = 0;

	if ((flags & REFUSED_FLAGS) != 0 || l4 == RTE_MBUF_F_TX_SCTP_CKSUM)
		return -ENOTSUP;
	if (divide && (mbuf->tso_segsz == 0 || l4 == RTE_MBUF_F_TX_UDP_CKSUM))
		return -EINVAL;
	edit->ipv4 = (flags & RTE_MBUF_F_TX_IPV4) != 0;
	edit->ip_checksum = (flags & RTE_MBUF_F_TX_IP_CKSUM) != 0 || (divide && edit->ipv4);
	edit->segment = divide ? mbuf->tso_segsz : 0;
	edit->l3 = mbuf->l2_len;
	edit->l4 = (uint16_t)(mbuf->l2_len + mbuf->l3_len);
	edit->tag = (flags & RTE_MBUF_F_TX_VLAN) != 0;
	edit->tci = mbuf->vlan_tci;
	if (divide || l4 == RTE_MBUF_F_TX_TCP_CKSUM) {
		edit->l4_protocol = IPPROTO_TCP;
		l4_bytes = RTE_MAX(divide ? mbuf->l4_len : 0u, (unsigned int)TCP_BYTES_MIN);
	} else if (l4 == RTE_MBUF_F_TX_UDP_CKSUM) {
		edit->l4_protocol = IPPROTO_UDP;
		l4_bytes = UDP_BYTES;
	}
	edit->copied = edit->tag ? ETHERNET_BYTES : 0;
	if (!edit->ip_checksum && edit->l4_protocol == 0)
		return 0;
	if (edit->ipv4 == ip6 || (edit->ip_checksum && ip6))
		return -EINVAL;
	edit->copied = (uint16_t)RTE_MAX(edit->copied, edit->l4 + l4_bytes);
	return 0;
}

static int
check_ipv4(struct mif_edit *edit, const uint8_t *head)
{
	const uint8_t *ip = head + edit->l3;
	uint32_t header = (uint32_t)(edit->l4 - edit->l3);
	uint32_t total;

	if (header < IP_BYTES_MIN || ip[0] >> 4 != 4 || (ip[0] & 15u) * 4 != header)
		return -EINVAL;
	if (edit->l4_protocol == 0)
		return 0;
	total = get16(ip + IP_TOTAL_AT);
	if (edit->segment != 0)
		total = edit->length - edit->l3;
	if (total < header || total > edit->length - edit->l3)
		return -EINVAL;
	edit->l4_bytes = total - header;
	if (ip[IP_PROTOCOL_AT] != edit->l4_protocol ||
			(get16(ip + IP_FRAGMENT_AT) & FRAGMENT_MASK) != 0)
		return -EINVAL;
	return 0;
}

/*
 * Extension headers: up to the TCP or UDP header only those are passed that do not change what its
 * checksum covers.
 */
static bool
extensions_ok(const uint8_t *ip, uint32_t bytes, uint8_t protocol)
{
	uint8_t next = ip[IP6_NEXT_AT];
	uint32_t at = IP6_BYTES;

	while (at + 8 <= bytes) {
		bool known = next == IPPROTO_HOPOPTS || next == IPPROTO_DSTOPTS ||
				(next == IPPROTO_ROUTING && ip[at + 3] == 0);

		if (!known)
			return false;
		next = ip[at];
		at += (ip[at + 1] + 1u) * 8;
	}
	return at == bytes && next == protocol;
}

static int
check_ipv6(struct mif_edit *edit, const uint8_t *head)
{
	const uint8_t *ip = head + edit->l3;
	uint32_t header = (uint32_t)(edit->l4 - edit->l3);
	uint32_t total;

	if (header < IP6_BYTES || ip[0] >> 4 != 6)
		return -EINVAL;
	total = (uint32_t)get16(ip + IP6_PAYLOAD_AT) + IP6_BYTES;
	if (edit->segment != 0)
		total = edit->length - edit->l3;
	if (total < header || total > edit->length - edit->l3)
		return -EINVAL;
	edit->l4_bytes = total - header;
	return extensions_ok(ip, header, edit->l4_protocol) ? 0 : -EINVAL;
}

/* The header is whole, and says a length that the packet has. */
static int
check_l4(struct mif_edit *edit, const uint8_t *head, const struct rte_mbuf *mbuf)
{
	const uint8_t *l4 = head + edit->l4;
	uint32_t bytes;

	if (edit->l4_protocol == IPPROTO_UDP) {
		if (edit->l4_bytes < UDP_BYTES)
			return -EINVAL;
		bytes = get16(l4 + UDP_BYTES_AT);
		if (bytes < UDP_BYTES || bytes > edit->l4_bytes)
			return -EINVAL;
		edit->l4_bytes = bytes;
		return 0;
	}
	bytes = (uint32_t)(l4[TCP_BYTES_AT] >> 4) * 4;
	if (bytes < TCP_BYTES_MIN || bytes > edit->l4_bytes)
		return -EINVAL;
	if (edit->segment == 0)
		return 0;
	if (bytes != mbuf->l4_len)
		return -EINVAL;
	/* Each of the packets has to be one that IP can carry. */
	bytes = RTE_MIN((uint32_t)edit->segment, edit->length - edit->copied);
	return edit->copied - edit->l3 + bytes > UINT16_MAX ? -EINVAL : 0;
}

int
mif_edit_plan(struct mif_edit *edit, struct rte_mbuf *mbuf, uint8_t *head)
{
	int ret;

	memset(edit, 0, sizeof(*edit));
	ret = read_flags(edit, mbuf);
	if (ret != 0)
		return ret;
	edit->length = chain_bytes(mbuf);
	edit->rest.segment = mbuf;
	if (edit->copied > edit->length ||
			mif_place_read(&edit->rest, head, edit->copied) != edit->copied)
		return -EINVAL;
	if (edit->ipv4 && (edit->ip_checksum || edit->l4_protocol != 0))
		ret = check_ipv4(edit, head);
	else if (edit->l4_protocol != 0)
		ret = check_ipv6(edit, head);
	if (ret == 0 && edit->l4_protocol != 0)
		ret = check_l4(edit, head, mbuf);
	return ret;
}

void
mif_edit_segment(struct mif_edit *edit, uint8_t *head, uint32_t number, uint32_t payload, bool last)
{
	uint8_t *ip = head + edit->l3, *tcp = head + edit->l4;

	edit->l4_bytes = (uint32_t)(edit->copied - edit->l4) + payload;
	if (edit->ipv4) {
		put16(ip + IP_TOTAL_AT, edit->l4_bytes + edit->l4 - edit->l3);
		put16(ip + IP_ID_AT, get16(ip + IP_ID_AT) + number);
	} else {
		put16(ip + IP6_PAYLOAD_AT, edit->l4_bytes + edit->l4 - edit->l3 - IP6_BYTES);
	}
	put32(tcp + TCP_SEQUENCE_AT, get32(tcp + TCP_SEQUENCE_AT) + number * edit->segment);
	if (!last)
		tcp[TCP_FLAGS_AT] &= (uint8_t) ~(RTE_TCP_FIN_FLAG | RTE_TCP_PSH_FLAG);
	if (number != 0)
		tcp[TCP_FLAGS_AT] &= (uint8_t)~RTE_TCP_CWR_FLAG;
}

/* Of addresses, length and protocol; in the byte order of rte_raw_cksum(). */
static uint32_t
pseudo_header(const struct mif_edit *edit, const uint8_t *ip)
{
	uint32_t sum = edit->ipv4 ? rte_raw_cksum(ip + IP_ADDRESSES_AT, IP_ADDRESSES_BYTES) :
				    rte_raw_cksum(ip + IP6_ADDRESSES_AT, IP6_ADDRESSES_BYTES);

	sum += rte_cpu_to_be_16((uint16_t)(edit->l4_bytes >> 16));
	sum += rte_cpu_to_be_16((uint16_t)edit->l4_bytes);
	return sum + rte_cpu_to_be_16(edit->l4_protocol);
}

/*
 * Of so many bytes of a chain that has them. rte_raw_cksum_mbuf() is wrong behind a segment of an
 * odd number of bytes: DPDK 22.11 cuts the sum of the next one before it turns it around.
 */
static uint32_t
chain_sum(const struct rte_mbuf *segment, uint32_t offset, uint32_t bytes)
{
	uint32_t sum = 0, done = 0, part;
	uint16_t words;

	for (; done < bytes; segment = segment->next, offset = 0) {
		part = RTE_MIN(bytes - done, segment->data_len - offset);
		words = rte_raw_cksum(rte_pktmbuf_mtod_offset(segment, const void *, offset), part);
		sum += done % 2 == 0 ? words : rte_bswap16(words);
		sum = (sum >> 16) + (sum & UINT16_MAX);
		done += part;
	}
	return sum;
}

void
mif_edit_checksums(const struct mif_edit *edit, uint8_t *head, const struct rte_mbuf *view)
{
	uint8_t *ip = head + edit->l3, *at;
	uint16_t checksum = 0;
	uint32_t sum;

	if (edit->ip_checksum) {
		memset(ip + IP_CHECKSUM_AT, 0, sizeof(checksum));
		checksum = (uint16_t)~rte_raw_cksum(ip, (size_t)(edit->l4 - edit->l3));
		memcpy(ip + IP_CHECKSUM_AT, &checksum, sizeof(checksum));
	}
	if (edit->l4_protocol == 0)
		return;
	at = head + edit->l4 +
			(edit->l4_protocol == IPPROTO_TCP ? TCP_CHECKSUM_AT : UDP_CHECKSUM_AT);
	memset(at, 0, sizeof(checksum));
	sum = chain_sum(view, edit->l4, edit->l4_bytes) + pseudo_header(edit, ip);
	sum = (sum >> 16) + (sum & UINT16_MAX);
	sum = (sum >> 16) + (sum & UINT16_MAX);
	checksum = (uint16_t)~sum;
	/* 0 would mean that there is none. */
	if (checksum == 0 && edit->l4_protocol == IPPROTO_UDP)
		checksum = UINT16_MAX;
	memcpy(at, &checksum, sizeof(checksum));
}

uint8_t *
mif_edit_tag(const struct mif_edit *edit, uint8_t *head)
{
	memmove(head - MIF_TAG_BYTES, head, TYPE_AT);
	head -= MIF_TAG_BYTES;
	put16(head + TYPE_AT, RTE_ETHER_TYPE_VLAN);
	put16(head + TYPE_AT + 2, edit->tci);
	return head;
}

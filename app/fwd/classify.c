/* SPDX-License-Identifier: BSD-3-Clause */

#include <netinet/in.h>
#include <string.h>

#include "classify.h"

#define ETHER_TYPE_AT 12
#define ETHER_TYPE_IPV4 0x0800
#define ETHER_TYPE_IPV6 0x86dd
#define ETHER_TYPE_VLAN 0x8100
#define ETHER_TYPE_QINQ 0x88a8
#define VLAN_TAGS 2
#define VLAN_TAG_LEN 4

#define IPV4_LEN 20
#define IPV4_FRAGMENT 0x3fff /* offset and "more fragments" */
#define IPV6_LEN 40
#define IPV6_EXTENSIONS 8

/* Bytes at the front of the protocols with ports: source and destination. */
#define PORTS_LEN 4

#define GOLDEN UINT64_C(0x9e3779b97f4a7c15)

/* What is left of a frame. */
struct rest {
	const uint8_t *data;
	uint32_t length;
};

/* A packet's place in a flow. */
struct flow_key {
	const uint8_t *source, *destination; /* addresses */
	unsigned int address_len;
	uint16_t source_port, destination_port; /* 0 without */
	uint8_t protocol;
	bool fragment;
};

static uint16_t
read_be16(const uint8_t *data)
{
	return (uint16_t)(data[0] << 8 | data[1]);
}

static bool
skip(struct rest *rest, uint32_t bytes)
{
	if (rest->length < bytes)
		return false;
	rest->data += bytes;
	rest->length -= bytes;
	return true;
}

/* Finaliser of MurmurHash's kind: every bit of x changes about half of the result. */
static uint64_t
mix(uint64_t x)
{
	x = (x ^ (x >> 33)) * UINT64_C(0xff51afd7ed558ccd);
	x = (x ^ (x >> 33)) * UINT64_C(0xc4ceb9fe1a85ec53);
	return x ^ (x >> 33);
}

static uint64_t
hash_end(const uint8_t *address, unsigned int length, uint16_t port)
{
	uint64_t hash = port + GOLDEN;
	uint32_t word;

	for (unsigned int i = 0; i < length; i += sizeof(word)) {
		memcpy(&word, address + i, sizeof(word));
		hash = mix(hash ^ word);
	}
	return hash;
}

/* The sum does not mind which end is the source. */
static uint32_t
hash_flow(const struct flow_key *key)
{
	uint64_t ends = hash_end(key->source, key->address_len, key->source_port) +
			hash_end(key->destination, key->address_len, key->destination_port);

	return (uint32_t)mix(ends + key->protocol);
}

static bool
parse_ipv4(struct rest *rest, struct flow_key *key)
{
	const uint8_t *ip = rest->data;
	uint32_t length;

	if (rest->length < IPV4_LEN || ip[0] >> 4 != 4)
		return false;
	length = (ip[0] & 15) * 4;
	if (length < IPV4_LEN)
		return false;
	key->fragment = (read_be16(ip + 6) & IPV4_FRAGMENT) != 0;
	key->protocol = ip[9];
	key->source = ip + 12;
	key->destination = ip + 16;
	key->address_len = 4;
	return skip(rest, length);
}

/* Goes on to the first header that is no extension. */
static bool
parse_ipv6(struct rest *rest, struct flow_key *key)
{
	const uint8_t *header = rest->data;
	uint32_t length;
	uint8_t next;

	if (!skip(rest, IPV6_LEN) || header[0] >> 4 != 6)
		return false;
	key->source = header + 8;
	key->destination = header + 24;
	key->address_len = 16;
	next = header[6];
	for (unsigned int i = 0; i < IPV6_EXTENSIONS; i++) {
		header = rest->data;
		switch (next) {
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
		case IPPROTO_FRAGMENT:
			if (rest->length < 8)
				return false;
			break;
		default:
			key->protocol = next;
			return true;
		}
		length = next == IPPROTO_FRAGMENT ? 8 : (header[1] + 1) * 8;
		key->fragment |= next == IPPROTO_FRAGMENT;
		next = header[0];
		/* A later fragment has no further headers. */
		if (key->fragment) {
			key->protocol = next;
			return skip(rest, length);
		}
		if (!skip(rest, length))
			return false;
	}
	return false;
}

static bool
has_ports(uint8_t protocol)
{
	return protocol == IPPROTO_UDP || protocol == IPPROTO_TCP || protocol == IPPROTO_SCTP ||
			protocol == IPPROTO_DCCP || protocol == IPPROTO_UDPLITE;
}

static bool
has_bit(const uint64_t *bits, unsigned int bit)
{
	return (bits[bit / 64] >> (bit % 64) & 1) != 0;
}

/* The ports of the key, and whether they are selected. */
static bool
select_ports(const struct filter *filter, const struct rest *rest, struct flow_key *key)
{
	if (!has_ports(key->protocol))
		return true;
	if (key->fragment)
		return filter->any_port;
	if (rest->length < PORTS_LEN)
		return false;
	key->source_port = read_be16(rest->data);
	key->destination_port = read_be16(rest->data + 2);
	return filter->any_port || has_bit(filter->ports, key->destination_port);
}

static uint16_t
skip_ether(struct rest *rest)
{
	uint16_t type;

	if (!skip(rest, ETHER_TYPE_AT))
		return 0;
	for (unsigned int tags = 0;; tags++) {
		if (rest->length < 2)
			return 0;
		type = read_be16(rest->data);
		if ((type != ETHER_TYPE_VLAN && type != ETHER_TYPE_QINQ) || tags == VLAN_TAGS)
			break;
		if (!skip(rest, VLAN_TAG_LEN))
			return 0;
	}
	return skip(rest, 2) ? type : 0;
}

bool
classify(const struct filter *filter, const uint8_t *frame, uint32_t length, uint32_t *hash)
{
	struct rest rest = { frame, length };
	struct flow_key key = { 0 };

	switch (skip_ether(&rest)) {
	case ETHER_TYPE_IPV4:
		if (!parse_ipv4(&rest, &key))
			return false;
		break;
	case ETHER_TYPE_IPV6:
		if (!parse_ipv6(&rest, &key))
			return false;
		break;
	default:
		return false;
	}
	if (!has_bit(filter->protocols, key.protocol) || !select_ports(filter, &rest, &key))
		return false;
	*hash = hash_flow(&key);
	return true;
}

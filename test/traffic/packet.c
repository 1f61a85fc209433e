/* SPDX-License-Identifier: BSD-3-Clause */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "packet.h"

/* The first byte, which is the lowest one here, has the version of IP for whoever looks for it. */
#define PACKET_MAGIC_WORD 0x6d696600u
#define FIRST_BYTE 0xffu
#define FIRST_PLAIN 0x74u
#define FIRST_IPV4 0x45u
#define FIRST_IPV6 0x60u

#define ETHER_LEN 14
#define TYPE_OFFSET 12

struct packet_header {
	uint32_t magic;
	uint32_t length;
	uint32_t seed;
	uint16_t queue;
	uint16_t reserved;
	uint64_t seq;
	uint64_t hash; /* over the whole packet, or what is IP of it, this field taken as 0 */
};

_Static_assert(ETHER_LEN + sizeof(struct packet_header) == PACKET_MIN_LEN, "header size");

#define HASH_OFFSET (ETHER_LEN + offsetof(struct packet_header, hash))

/* Finaliser of splitmix64: every input bit changes about half of the output bits. */
static uint64_t
mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static uint64_t
hash_bytes(const uint8_t *buf, uint32_t length)
{
	uint64_t hash = mix(length), word;
	uint32_t pos;

	for (pos = 0; pos + sizeof(word) <= length; pos += sizeof(word)) {
		memcpy(&word, buf + pos, sizeof(word));
		hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
		hash ^= hash >> 29;
	}
	if (pos < length) {
		word = 0;
		memcpy(&word, buf + pos, length - pos);
		hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	}
	return mix(hash);
}

static uint64_t
hash_packet(const uint8_t *buf, uint32_t length, bool ip)
{
	return ip ? hash_bytes(buf + ETHER_LEN, length - ETHER_LEN) : hash_bytes(buf, length);
}

static void
write_payload(uint8_t *buf, const struct packet_info *info)
{
	uint64_t word, state;
	uint32_t pos;

	state = mix(((uint64_t)info->seed << 16 | info->queue) ^ mix(info->seq));
	for (pos = PACKET_MIN_LEN; pos + sizeof(word) <= info->length; pos += sizeof(word)) {
		word = mix(state + pos);
		memcpy(buf + pos, &word, sizeof(word));
	}
	if (pos < info->length) {
		word = mix(state + pos);
		memcpy(buf + pos, &word, info->length - pos);
	}
}

static uint8_t
first_byte(const struct packet_info *info)
{
	if (!info->ip)
		return FIRST_PLAIN;
	return info->seq % 2 == 0 ? FIRST_IPV4 : FIRST_IPV6;
}

static const uint8_t *
ether_type(uint8_t first)
{
	/* Of these, and the one for local experiments. */
	static const uint8_t ipv4[] = { 0x08, 0x00 }, ipv6[] = { 0x86, 0xdd },
			     plain[] = { 0x88, 0xb5 };

	return first == FIRST_IPV4 ? ipv4 : first == FIRST_IPV6 ? ipv6 : plain;
}

static void
write_ether(uint8_t *buf, const struct packet_info *info)
{
	/* Locally administered addresses. */
	static const uint8_t ether[] = { 0x02, 0, 0, 0, 0, 0x02, 0x02, 0, 0, 0, 0, 0x01 };

	memcpy(buf, ether, sizeof(ether));
	memcpy(buf + sizeof(ether), ether_type(first_byte(info)), ETHER_LEN - sizeof(ether));
	buf[4] = info->queue;
	buf[10] = info->queue;
}

void
packet_write(uint8_t *buf, const struct packet_info *info)
{
	struct packet_header header = {
		.magic = PACKET_MAGIC_WORD | first_byte(info),
		.length = info->length,
		.seed = info->seed,
		.queue = info->queue,
		.seq = info->seq,
	};

	write_ether(buf, info);
	memcpy(buf + ETHER_LEN, &header, sizeof(header));
	write_payload(buf, info);
	header.hash = hash_packet(buf, info->length, info->ip);
	memcpy(buf + HASH_OFFSET, &header.hash, sizeof(header.hash));
}

enum packet_verdict
packet_check(uint8_t *buf, uint32_t length, struct packet_info *info)
{
	struct packet_header header;

	memset(info, 0, sizeof(*info));
	if (length < PACKET_MIN_LEN)
		return PACKET_SHORT;
	memcpy(&header, buf + ETHER_LEN, sizeof(header));
	if ((header.magic & ~FIRST_BYTE) != PACKET_MAGIC_WORD)
		return PACKET_MAGIC;
	info->length = header.length;
	info->seed = header.seed;
	info->queue = header.queue;
	info->seq = header.seq;
	info->ip = buf[ETHER_LEN] != FIRST_PLAIN;
	if (header.length != length)
		return PACKET_LENGTH;
	memset(buf + HASH_OFFSET, 0, sizeof(header.hash));
	if (hash_packet(buf, length, info->ip) != header.hash || header.seq >= PACKET_MAX_SEQ ||
			buf[ETHER_LEN] != first_byte(info) ||
			memcmp(buf + TYPE_OFFSET, ether_type(buf[ETHER_LEN]),
					ETHER_LEN - TYPE_OFFSET) != 0)
		return PACKET_HASH;
	return PACKET_OK;
}

/* The first byte that differs from what the header promises, or length. */
static uint32_t
first_wrong(const uint8_t *buf, uint32_t length, const struct packet_info *info, uint8_t *wanted)
{
	struct packet_info own = *info;
	uint8_t *copy;
	uint32_t pos;

	if (own.length < length)
		own.length = length;
	if (own.length > PACKET_MAX_LEN)
		return length;
	copy = malloc(own.length);
	if (!copy)
		return length;
	packet_write(copy, &own);
	for (pos = own.ip ? TYPE_OFFSET : 0; pos < length; pos++) {
		if (pos >= HASH_OFFSET && pos < PACKET_MIN_LEN)
			continue;
		/* The length field was given the larger of the two lengths above. */
		if (pos >= ETHER_LEN + offsetof(struct packet_header, length) &&
				pos < ETHER_LEN + offsetof(struct packet_header, seed))
			continue;
		if (copy[pos] != buf[pos])
			break;
	}
	*wanted = pos < length ? copy[pos] : 0;
	free(copy);
	return pos;
}

void
packet_explain(const uint8_t *buf, uint32_t length, const struct packet_info *info,
		enum packet_verdict verdict, char *text, size_t text_size)
{
	uint8_t wanted = 0;
	uint32_t pos;
	int n;

	if (verdict == PACKET_SHORT || verdict == PACKET_MAGIC) {
		snprintf(text, text_size, "%s: %u bytes, the first %02x %02x %02x %02x",
				packet_verdict_name(verdict), length, length > 0 ? buf[0] : 0,
				length > 1 ? buf[1] : 0, length > 2 ? buf[2] : 0,
				length > 3 ? buf[3] : 0);
		return;
	}
	pos = first_wrong(buf, length, info, &wanted);
	n = snprintf(text, text_size, "%s: queue %u seq %lu sent with %u bytes, came with %u",
			packet_verdict_name(verdict), info->queue, (unsigned long)info->seq,
			info->length, length);
	if (n < 0 || (size_t)n >= text_size || pos >= length)
		return;
	snprintf(text + n, text_size - n, ", first wrong byte at %u: %02x for %02x", pos, buf[pos],
			wanted);
}

const char *
packet_verdict_name(enum packet_verdict verdict)
{
	static const char *const names[] = {
		[PACKET_OK] = "ok",
		[PACKET_SHORT] = "short",
		[PACKET_MAGIC] = "foreign",
		[PACKET_LENGTH] = "wrong_length",
		[PACKET_HASH] = "wrong_bytes",
	};

	return names[verdict];
}

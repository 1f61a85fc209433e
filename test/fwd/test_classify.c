/* SPDX-License-Identifier: BSD-3-Clause */

#include "classify.h"
#include "unit.h"

#define UDP 17
#define TCP 6
#define ICMP 1

/* A frame that is written piece by piece. */
struct frame {
	uint8_t byte[512];
	uint32_t length;
};

static void
add(struct frame *frame, const void *bytes, uint32_t length)
{
	memcpy(frame->byte + frame->length, bytes, length);
	frame->length += length;
}

static void
add_be16(struct frame *frame, uint16_t value)
{
	add(frame, (const uint8_t[]){ (uint8_t)(value >> 8), (uint8_t)value }, 2);
}

static struct frame
ether(unsigned int tags, uint16_t tag_type, uint16_t type)
{
	struct frame frame = { .length = 12 };

	for (unsigned int i = 0; i < tags; i++) {
		add_be16(&frame, tag_type);
		add_be16(&frame, (uint16_t)(100 + i));
	}
	add_be16(&frame, type);
	return frame;
}

static void
add_ipv4(struct frame *frame, uint8_t protocol, uint32_t source, uint32_t destination,
		uint16_t fragment, unsigned int options)
{
	const uint8_t head[] = { (uint8_t)(0x45 + options), 0, 0, 0, 0, 0, (uint8_t)(fragment >> 8),
		(uint8_t)fragment, 64, protocol, 0, 0 };
	const uint8_t none[40] = { 0 };

	add(frame, head, sizeof(head));
	add_be16(frame, (uint16_t)(source >> 16));
	add_be16(frame, (uint16_t)source);
	add_be16(frame, (uint16_t)(destination >> 16));
	add_be16(frame, (uint16_t)destination);
	add(frame, none, options * 4);
}

static void
add_ipv6(struct frame *frame, uint8_t next, uint8_t source, uint8_t destination)
{
	uint8_t head[40] = { 0x60 };

	head[6] = next;
	head[8 + 15] = source;
	head[24 + 15] = destination;
	add(frame, head, sizeof(head));
}

static void
add_ports(struct frame *frame, uint16_t source, uint16_t destination)
{
	add_be16(frame, source);
	add_be16(frame, destination);
	add(frame, (const uint8_t[4]){ 0 }, 4);
}

static struct frame
ipv4(uint8_t protocol, uint32_t source, uint16_t source_port, uint32_t destination,
		uint16_t destination_port)
{
	struct frame frame = ether(0, 0, 0x0800);

	add_ipv4(&frame, protocol, source, destination, 0, 0);
	add_ports(&frame, source_port, destination_port);
	return frame;
}

static struct filter
all_udp(void)
{
	struct filter filter = { .any_port = true };

	filter_add_protocol(&filter, UDP);
	return filter;
}

static struct filter
udp_port(uint16_t port)
{
	struct filter filter = { 0 };

	filter_add_protocol(&filter, UDP);
	filter_add_port(&filter, port);
	return filter;
}

static bool
selected(struct filter filter, const struct frame *frame)
{
	uint32_t hash;

	return classify(&filter, frame->byte, frame->length, &hash);
}

static uint32_t
hash_of(struct filter filter, const struct frame *frame)
{
	uint32_t hash = 0;

	assert_true(classify(&filter, frame->byte, frame->length, &hash));
	return hash;
}

static void
protocols_are_told_apart(void **state)
{
	struct frame udp = ipv4(UDP, 1, 2, 3, 4), tcp = ipv4(TCP, 1, 2, 3, 4);
	struct frame arp = ether(0, 0, 0x0806);

	(void)state;
	arp.length = 60;
	assert_true(selected(all_udp(), &udp));
	assert_false(selected(all_udp(), &tcp));
	assert_false(selected(all_udp(), &arp));
}

static void
destination_ports_count(void **state)
{
	struct frame to = ipv4(UDP, 1, 9, 3, 5000), from = ipv4(UDP, 1, 5000, 3, 9);

	(void)state;
	assert_true(selected(udp_port(5000), &to));
	assert_false(selected(udp_port(5000), &from));
	assert_false(selected(udp_port(5001), &to));
}

static void
protocols_without_ports_have_no_list(void **state)
{
	struct filter filter = udp_port(5000);
	struct frame icmp = ipv4(ICMP, 1, 2, 3, 4);

	(void)state;
	filter_add_protocol(&filter, ICMP);
	assert_true(selected(filter, &icmp));
}

static void
tags_are_looked_behind(void **state)
{
	struct frame plain = ipv4(UDP, 1, 2, 3, 4), frame;

	(void)state;
	for (unsigned int tags = 1; tags <= 3; tags++) {
		frame = ether(tags, tags == 2 ? 0x88a8 : 0x8100, 0x0800);
		add_ipv4(&frame, UDP, 1, 3, 0, 0);
		add_ports(&frame, 2, 4);
		assert_int_equal(selected(all_udp(), &frame), tags <= 2);
		if (tags <= 2)
			assert_int_equal(hash_of(all_udp(), &frame), hash_of(all_udp(), &plain));
	}
}

static void
ipv4_options_are_skipped(void **state)
{
	struct frame frame = ether(0, 0, 0x0800);

	(void)state;
	add_ipv4(&frame, UDP, 1, 3, 0, 10);
	add_ports(&frame, 2, 5000);
	assert_true(selected(udp_port(5000), &frame));
}

static void
ipv6_and_its_extensions(void **state)
{
	struct frame frame = ether(0, 0, 0x86dd), plain = frame;

	(void)state;
	add_ipv6(&plain, UDP, 1, 2);
	add_ports(&plain, 7, 5000);
	assert_true(selected(udp_port(5000), &plain));
	add_ipv6(&frame, 0, 1, 2);
	add(&frame, (const uint8_t[16]){ 43, 1 }, 16);
	add(&frame, (const uint8_t[8]){ 60, 0 }, 8);
	add(&frame, (const uint8_t[8]){ UDP, 0 }, 8);
	add_ports(&frame, 7, 5000);
	assert_true(selected(udp_port(5000), &frame));
	assert_int_equal(hash_of(all_udp(), &frame), hash_of(all_udp(), &plain));
}

static void
too_many_extensions_are_not_selected(void **state)
{
	struct frame frame = ether(0, 0, 0x86dd);

	(void)state;
	add_ipv6(&frame, 60, 1, 2);
	for (unsigned int i = 0; i < 20; i++)
		add(&frame, (const uint8_t[8]){ 60, 0 }, 8);
	assert_false(selected(all_udp(), &frame));
}

/* Whether the first and a later fragment are selected, and that they have one hash then. */
static bool
fragments_selected(struct filter filter, struct frame first, struct frame later)
{
	bool both = selected(filter, &first);

	assert_int_equal(selected(filter, &later), both);
	if (both)
		assert_int_equal(hash_of(filter, &first), hash_of(filter, &later));
	return both;
}

static void
fragments_stay_together(void **state)
{
	struct frame first = ether(0, 0, 0x0800), later = first;

	(void)state;
	add_ipv4(&first, UDP, 1, 3, 0x2000, 0);
	add_ports(&first, 2, 5000);
	add_ipv4(&later, UDP, 1, 3, 0x0010, 0);
	add(&later, "payload!", 8);
	assert_true(fragments_selected(all_udp(), first, later));
	assert_false(fragments_selected(udp_port(5000), first, later));
	first = later = ether(0, 0, 0x86dd);
	add_ipv6(&first, 44, 1, 2);
	add(&first, (const uint8_t[8]){ UDP, 0, 0, 1 }, 8);
	add_ports(&first, 2, 5000);
	add_ipv6(&later, 44, 1, 2);
	add(&later, (const uint8_t[8]){ UDP, 0, 1, 0 }, 8);
	add(&later, "payload!", 8);
	assert_true(fragments_selected(all_udp(), first, later));
	assert_false(fragments_selected(udp_port(5000), first, later));
}

static void
both_directions_have_one_hash(void **state)
{
	uint32_t seed = 1, a, b, ports;
	struct frame there, back;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		a = unit_random(&seed);
		b = unit_random(&seed);
		ports = unit_random(&seed);
		there = ipv4(UDP, a, (uint16_t)ports, b, (uint16_t)(ports >> 16));
		back = ipv4(UDP, b, (uint16_t)(ports >> 16), a, (uint16_t)ports);
		assert_int_equal(hash_of(all_udp(), &there), hash_of(all_udp(), &back));
	}
}

/* Flows that differ in their last bits only, as those of a real network do. */
static void
neighbours_are_spread(void **state)
{
	unsigned int bucket[16] = { 0 };
	struct frame frame;

	(void)state;
	for (uint32_t i = 0; i < 16000; i++) {
		frame = ipv4(UDP, 0x0a000001 + i % 40, (uint16_t)(40000 + i / 40), 0x0a000001, 53);
		bucket[hash_of(all_udp(), &frame) % 16]++;
	}
	for (unsigned int i = 0; i < 16; i++)
		assert_in_range(bucket[i], 850, 1150);
}

static void
ports_and_addresses_do_not_swap(void **state)
{
	struct frame one = ipv4(UDP, 1, 10, 2, 20), other = ipv4(UDP, 1, 20, 2, 10);

	(void)state;
	assert_int_not_equal(hash_of(all_udp(), &one), hash_of(all_udp(), &other));
}

static void
protocols_are_flows_of_their_own(void **state)
{
	struct filter filter = all_udp();
	struct frame udp = ipv4(UDP, 1, 10, 2, 20), tcp = ipv4(TCP, 1, 10, 2, 20);

	(void)state;
	filter_add_protocol(&filter, TCP);
	assert_int_not_equal(hash_of(filter, &udp), hash_of(filter, &tcp));
}

/* Every length: under ASan a byte too far would show. */
static void
cut_frames_are_not_selected(void **state)
{
	struct frame frame[2] = { ether(2, 0x8100, 0x0800), ether(1, 0x8100, 0x86dd) };
	struct filter filter = udp_port(5000);
	uint8_t *exact;
	uint32_t hash;

	(void)state;
	add_ipv4(&frame[0], UDP, 1, 3, 0, 2);
	add_ports(&frame[0], 2, 5000);
	add_ipv6(&frame[1], 0, 1, 2);
	add(&frame[1], (const uint8_t[8]){ 44, 0 }, 8);
	add(&frame[1], (const uint8_t[8]){ UDP, 0 }, 8);
	filter.any_port = true;
	for (unsigned int i = 0; i < 2; i++) {
		for (uint32_t length = 0; length < frame[i].length - 4 * (i == 0); length++) {
			exact = test_malloc(length + (length == 0));
			memcpy(exact, frame[i].byte, length);
			assert_false(classify(&filter, exact, length, &hash));
			test_free(exact);
		}
	}
}

static void
rubbish_is_survived(void **state)
{
	struct filter filter = all_udp();
	uint32_t seed = 7, length, hash;
	uint8_t byte[128];

	(void)state;
	for (int i = 0; i < 200000; i++) {
		for (size_t j = 0; j < sizeof(byte); j++)
			byte[j] = (uint8_t)unit_random(&seed);
		byte[12] = i % 2 != 0 ? 0x08 : 0x86;
		byte[13] = i % 2 != 0 ? 0x00 : 0xdd;
		byte[14] = i % 2 != 0 ? (uint8_t)(0x40 | (byte[14] & 15)) : 0x60;
		length = unit_random(&seed) % sizeof(byte);
		classify(&filter, byte, length, &hash);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(protocols_are_told_apart),
		cmocka_unit_test(destination_ports_count),
		cmocka_unit_test(protocols_without_ports_have_no_list),
		cmocka_unit_test(tags_are_looked_behind),
		cmocka_unit_test(ipv4_options_are_skipped),
		cmocka_unit_test(ipv6_and_its_extensions),
		cmocka_unit_test(too_many_extensions_are_not_selected),
		cmocka_unit_test(fragments_stay_together),
		cmocka_unit_test(both_directions_have_one_hash),
		cmocka_unit_test(neighbours_are_spread),
		cmocka_unit_test(ports_and_addresses_do_not_swap),
		cmocka_unit_test(protocols_are_flows_of_their_own),
		cmocka_unit_test(cut_frames_are_not_selected),
		cmocka_unit_test(rubbish_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

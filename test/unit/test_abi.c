/* SPDX-License-Identifier: BSD-3-Clause */

/* The wire byte by byte, as on a little-endian machine; other peers were compiled without us. */

#include "memif_abi.h"
#include "memif_msg.h"
#include "unit.h"

/** The first bytes of a message; all behind them are zero. */
#define assert_wire(msg, ...) \
	do { \
		static const uint8_t head[] = { __VA_ARGS__ }; \
		check_wire(&(msg), head, sizeof(head)); \
	} while (0)

static void
check_wire(const struct mif_msg *msg, const uint8_t *head, size_t length)
{
	uint8_t wanted[128] = { 0 };

	memcpy(wanted, head, length);
	assert_int_equal(sizeof(*msg), 128);
	assert_memory_equal(msg, wanted, sizeof(wanted));
}

static void
ack_is_a_type_and_nothing_else(void **state)
{
	struct mif_msg msg = mif_msg_ack();

	(void)state;
	assert_wire(msg, 1, 0);
}

static void
hello_has_name_versions_and_limits(void **state)
{
	const struct mif_limits limits = {
		.regions = 256,
		.rings = { [MIF_C2S] = 3, [MIF_S2C] = 0x203 },
		.log2_ring_size = 14,
	};
	struct mif_msg msg = mif_msg_hello("abc", &limits);

	(void)state;
	assert_wire(msg, 2, 0, 'a', 'b', 'c', [34] = 0, 2, 0, 2, /* name, versions */
			[38] = 255, 0, 2, 2, 2, 0,		 /* regions, S2C rings, C2S rings */
			[44] = 14);
}

static void
init_has_version_id_mode_secret_and_name(void **state)
{
	const uint8_t secret[24] = "ABCDEFGHIJKLMNOPQRSTUVWX";
	struct mif_msg msg = mif_msg_init(0x11223344, 1, secret, "xy");

	(void)state;
	assert_wire(msg, 3, 0, 0, 2, 0x44, 0x33, 0x22, 0x11, 1, 'A', 'B', 'C', 'D', 'E', 'F', 'G',
			'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', 'P', 'Q', 'R', 'S', 'T', 'U', 'V',
			'W', 'X', 'x', 'y');
}

static void
add_region_has_index_and_64_bit_size(void **state)
{
	struct mif_msg msg = mif_msg_add_region(0x0102, UINT64_C(0x1122334455667788));

	(void)state;
	assert_wire(msg, 4, 0, 2, 1, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11);
}

static void
add_ring_has_flags_index_region_offset_and_size(void **state)
{
	struct mif_msg c2s = mif_msg_add_ring(MIF_C2S, 0x0102, 0x0304, 0x11223344, 10);
	struct mif_msg s2c = mif_msg_add_ring(MIF_S2C, 254, 1, 0xfffffff0, 14);

	(void)state;
	assert_wire(c2s, 5, 0, 1, 0, 2, 1, 4, 3, 0x44, 0x33, 0x22, 0x11, 10, 0, 0);
	assert_wire(s2c, 5, 0, 0, 0, 254, 0, 1, 0, 0xf0, 0xff, 0xff, 0xff, 14, 0, 0);
}

static void
connect_and_connected_have_a_name(void **state)
{
	struct mif_msg connect = mif_msg_connect("port0");
	struct mif_msg connected = mif_msg_connected("port1");

	(void)state;
	assert_wire(connect, 6, 0, 'p', 'o', 'r', 't', '0');
	assert_wire(connected, 7, 0, 'p', 'o', 'r', 't', '1');
}

static void
disconnect_has_code_and_text(void **state)
{
	struct mif_msg msg = mif_msg_disconnect("bye");

	(void)state;
	assert_wire(msg, 8, 0, 0, 0, 0, 0, 'b', 'y', 'e');
}

/* What a peer wrote is found in the right fields. */
static void
fields_are_read_where_the_wire_has_them(void **state)
{
	struct mif_msg msg;
	uint8_t wire[128];

	(void)state;
	for (size_t i = 0; i < sizeof(wire); i++)
		wire[i] = (uint8_t)i;
	memcpy(&msg, wire, sizeof(msg));
	assert_int_equal(msg.type, 0x0100);
	assert_int_equal(msg.hello.min_version, 0x2322);
	assert_int_equal(msg.hello.max_version, 0x2524);
	assert_int_equal(msg.hello.max_region, 0x2726);
	assert_int_equal(msg.hello.max_s2c_ring, 0x2928);
	assert_int_equal(msg.hello.max_c2s_ring, 0x2b2a);
	assert_int_equal(msg.hello.max_log2_ring_size, 0x2c);
	assert_int_equal(msg.init.version, 0x0302);
	assert_int_equal(msg.init.id, 0x07060504);
	assert_int_equal(msg.init.mode, 8);
	assert_memory_equal(msg.init.secret, wire + 9, 24);
	assert_memory_equal(msg.init.name, wire + 33, 32);
	assert_true(msg.add_region.size == UINT64_C(0x0b0a090807060504));
	assert_int_equal(msg.add_ring.offset, 0x0b0a0908);
	assert_int_equal(msg.add_ring.log2_ring_size, 0x0c);
	assert_int_equal(msg.add_ring.private_hdr_size, 0x0e0d);
	assert_int_equal(msg.disconnect.code, 0x05040302);
	assert_memory_equal(msg.disconnect.string, wire + 6, 96);
}

static void
ring_lies_as_on_the_wire(void **state)
{
	static uint8_t memory[2 * 64 + 2 * 16] __attribute__((aligned(64)));
	struct mif_ring *ring = (struct mif_ring *)memory;
	static const uint8_t desc[] = { 1, 0, 2, 1, 0x44, 0x33, 0x22, 0x11, 0x88, 0x77, 0x66, 0x55,
		0xcc, 0xbb, 0xaa, 0x99 };

	(void)state;
	ring->cookie = MIF_RING_COOKIE;
	ring->flags = MIF_RING_MASK_INT;
	ring->head = 0x0102;
	ring->tail = 0x0304;
	ring->desc[1] = (struct mif_desc){
		.flags = MIF_DESC_NEXT,
		.region = 0x0102,
		.length = 0x11223344,
		.offset = 0x55667788,
		.metadata = 0x99aabbcc,
	};
	assert_memory_equal(memory, ((uint8_t[]){ 0x20, 0x1f, 0xe3, 3, 1, 0, 2, 1 }), 8);
	assert_memory_equal(memory + 64, ((uint8_t[]){ 4, 3 }), 2);
	assert_memory_equal(memory + 128 + 16, desc, sizeof(desc));
}

static void
ring_bytes_of_every_size(void **state)
{
	uint64_t slots = 2;

	(void)state;
	for (uint8_t log2 = 1; log2 <= 14; log2++, slots *= 2)
		assert_true(mif_ring_bytes(log2) == 128 + 16 * slots);
}

static void
numbers_of_the_protocol(void **state)
{
	(void)state;
	assert_int_equal(MIF_VERSION, 0x200);
	assert_int_equal(MIF_MODE_ETHERNET, 0);
	assert_int_equal(MIF_MODE_IP, 1);
	assert_int_equal(MIF_MODE_PUNT_INJECT, 2);
	assert_int_equal(MIF_LOG2_RING_MIN, 1);
	assert_int_equal(MIF_LOG2_RING_MAX, 14);
	assert_int_equal(MIF_RINGS_MAX, 255);
	assert_int_equal(MIF_REGIONS_MAX, 256);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ack_is_a_type_and_nothing_else),
		cmocka_unit_test(hello_has_name_versions_and_limits),
		cmocka_unit_test(init_has_version_id_mode_secret_and_name),
		cmocka_unit_test(add_region_has_index_and_64_bit_size),
		cmocka_unit_test(add_ring_has_flags_index_region_offset_and_size),
		cmocka_unit_test(connect_and_connected_have_a_name),
		cmocka_unit_test(disconnect_has_code_and_text),
		cmocka_unit_test(fields_are_read_where_the_wire_has_them),
		cmocka_unit_test(ring_lies_as_on_the_wire),
		cmocka_unit_test(ring_bytes_of_every_size),
		cmocka_unit_test(numbers_of_the_protocol),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */

/* Packets one behind the other: none over one that the server still has, none outside. */

#include "memif_layout.h"
#include "memif_pack.h"
#include "unit.h"

#define LOG2_MOST 7
#define PACKETS 5000

/* What the server has: places and lengths, by slot. */
static struct {
	uint32_t place;
	uint32_t length;
} flight[1 << LOG2_MOST];

static uint32_t random_state = 1;

static uint32_t
below(uint32_t limit)
{
	random_state = random_state * 1664525u + 1013904223u;
	return (uint32_t)(((uint64_t)random_state * limit) >> 32);
}

/* A packet of the longest, the shortest or any length, as they come in stretches. */
static uint32_t
any_length(uint32_t most)
{
	static uint32_t kind;

	if (below(40) == 0)
		kind = below(3);
	return kind == 0 ? most : kind == 1 ? 1 : 1 + below(most);
}

static void
play(uint32_t buffer_size, uint8_t log2)
{
	uint32_t stride = mif_layout_stride(buffer_size, below(2) == 0);
	struct mif_pack pack = mif_pack_init(stride, log2);
	uint32_t head = 0, tail = 0;
	uint32_t place, length;

	for (uint32_t i = 0; i < PACKETS; i++) {
		/* Mostly as full as can be: that is when it matters. */
		if (head - tail == 1u << log2)
			tail += 1 + (below(4) == 0 ? below(head - tail) : 0);
		length = any_length(buffer_size);
		place = mif_pack_place(&pack);
		assert_int_equal(place % MIF_LINE_SIZE, 0);
		assert_true(place + stride <= mif_pack_bytes(stride, log2));
		for (uint32_t other = tail; other != head; other++)
			assert_true(place + length <= flight[other % (1u << log2)].place ||
					place >= flight[other % (1u << log2)].place +
									flight[other % (1u << log2)]
											.length);
		flight[head % (1u << log2)].place = place;
		flight[head % (1u << log2)].length = length;
		mif_pack_put(&pack, place, length);
		head++;
	}
}

static void
no_packet_is_over_another(void **state)
{
	static const uint32_t sizes[] = { 1, 64, 65, 128, 150, 192, 193, 512, 2048, 65535 };

	(void)state;
	for (uint8_t log2 = MIF_LOG2_RING_MIN; log2 <= LOG2_MOST; log2++) {
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
			play(sizes[i], log2);
	}
}

/* What it is for. */
static void
packets_follow_each_other(void **state)
{
	struct mif_pack pack = mif_pack_init(2112, 10);

	(void)state;
	mif_pack_put(&pack, mif_pack_place(&pack), 512);
	assert_int_equal(mif_pack_place(&pack), 512);
	mif_pack_put(&pack, mif_pack_place(&pack), 1500);
	assert_int_equal(mif_pack_place(&pack), 512 + 1536);
	mif_pack_put(&pack, mif_pack_place(&pack), 60);
	assert_int_equal(mif_pack_place(&pack), 512 + 1536 + MIF_LINE_SIZE);
}

static void
largest_ring_and_buffers(void **state)
{
	uint32_t stride = mif_layout_stride(UINT16_MAX, false);
	struct mif_pack pack = mif_pack_init(stride, MIF_LOG2_RING_MAX);

	(void)state;
	assert_int_equal(pack.last, (uint64_t)stride << MIF_LOG2_RING_MAX);
	pack.at = pack.last;
	assert_int_equal(mif_pack_place(&pack), pack.last);
	mif_pack_put(&pack, pack.last, UINT16_MAX);
	assert_int_equal(mif_pack_place(&pack), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_packet_is_over_another),
		cmocka_unit_test(packets_follow_each_other),
		cmocka_unit_test(largest_ring_and_buffers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

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

/* Where the sender puts its next burst: it may change its mind each time. */
static struct mif_pack *
any_area(struct mif_pack areas[MIF_PACK_AREAS], uint32_t stride, uint32_t longest)
{
	static unsigned int kind;

	if (below(20) == 0)
		kind = below(3);
	return kind == 0			   ? &areas[0] :
			kind == 1 || below(2) == 0 ? &areas[mif_pack_area(stride, longest)] :
						     &areas[0];
}

static void
play(uint32_t buffer_size, uint8_t log2)
{
	uint32_t stride = mif_layout_stride(buffer_size, below(2) == 0);
	struct mif_pack areas[MIF_PACK_AREAS];
	struct mif_pack *area;
	uint32_t head = 0, tail = 0;
	uint32_t place, length;

	mif_pack_init(areas, stride, log2);
	for (uint32_t i = 0; i < PACKETS; i++) {
		/* Mostly as full as can be: that is when it matters. */
		if (head - tail == 1u << log2)
			tail += 1 + (below(4) == 0 ? below(head - tail) : 0);
		length = any_length(buffer_size);
		area = any_area(areas, stride, length);
		place = mif_pack_place(area);
		assert_int_equal(place % MIF_LINE_SIZE, 0);
		assert_true(place + length <= mif_pack_bytes(stride, log2));
		for (uint32_t other = tail; other != head; other++)
			assert_true(place + length <= flight[other % (1u << log2)].place ||
					place >= flight[other % (1u << log2)].place +
									flight[other % (1u << log2)]
											.length);
		flight[head % (1u << log2)].place = place;
		flight[head % (1u << log2)].length = length;
		mif_pack_put(area, place, length);
		head++;
	}
}

static void
no_packet_is_over_another(void **state)
{
	static const uint32_t sizes[] = { 1, 64, 65, 128, 150, 192, 193, 512, 513, 2048, 65535 };

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
	struct mif_pack areas[MIF_PACK_AREAS];

	(void)state;
	mif_pack_init(areas, 2112, 10);
	mif_pack_put(&areas[0], mif_pack_place(&areas[0]), 512);
	assert_int_equal(mif_pack_place(&areas[0]), 512);
	mif_pack_put(&areas[0], mif_pack_place(&areas[0]), 1500);
	assert_int_equal(mif_pack_place(&areas[0]), 512 + 1536);
	mif_pack_put(&areas[0], mif_pack_place(&areas[0]), 60);
	assert_int_equal(mif_pack_place(&areas[0]), 512 + 1536 + MIF_LINE_SIZE);
}

static void
short_packets_have_shorter_laps(void **state)
{
	struct mif_pack areas[MIF_PACK_AREAS];

	(void)state;
	mif_pack_init(areas, 2112, 10);
	assert_int_equal(mif_pack_area(2112, 1), 2);
	assert_int_equal(mif_pack_area(2112, 128), 2);
	assert_int_equal(mif_pack_area(2112, 129), 1);
	assert_int_equal(mif_pack_area(2112, 512), 1);
	assert_int_equal(mif_pack_area(2112, 513), 0);
	assert_int_equal(mif_pack_area(2112, 2112), 0);
	assert_int_equal(areas[0].last - areas[0].first, 2112 << 10);
	assert_int_equal(areas[1].last - areas[1].first, 512 << 10);
	assert_int_equal(areas[2].last - areas[2].first, 128 << 10);
	for (uint32_t i = 0; i < 3 * 1024; i++)
		mif_pack_put(&areas[2], mif_pack_place(&areas[2]), 128);
	assert_in_range(mif_pack_place(&areas[2]), areas[2].first, areas[2].last);
}

/* Buffers that are short themselves have no such areas, and need no memory for them. */
static void
short_buffers_have_one_area(void **state)
{
	(void)state;
	assert_int_equal(mif_pack_area(128, 1), 0);
	assert_int_equal(mif_pack_bytes(128, 10), (128 << 10) + 128);
	assert_int_equal(mif_pack_area(192, 128), 2);
	assert_int_equal(mif_pack_area(192, 129), 0);
	assert_int_equal(mif_pack_bytes(192, 10), (192 << 10) + 192 + (128 << 10) + 128);
}

static void
largest_ring_and_buffers(void **state)
{
	uint32_t stride = mif_layout_stride(UINT16_MAX, false);
	struct mif_pack areas[MIF_PACK_AREAS];

	(void)state;
	mif_pack_init(areas, stride, MIF_LOG2_RING_MAX);
	assert_true(mif_pack_bytes(stride, MIF_LOG2_RING_MAX) <= UINT32_MAX);
	assert_int_equal(areas[0].last, (uint64_t)stride << MIF_LOG2_RING_MAX);
	areas[0].at = areas[0].last;
	assert_int_equal(mif_pack_place(&areas[0]), areas[0].last);
	mif_pack_put(&areas[0], areas[0].last, UINT16_MAX);
	assert_int_equal(mif_pack_place(&areas[0]), 0);
	assert_int_equal(areas[2].last + MIF_PACK_SHORTEST,
			mif_pack_bytes(stride, MIF_LOG2_RING_MAX));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_packet_is_over_another),
		cmocka_unit_test(packets_follow_each_other),
		cmocka_unit_test(short_packets_have_shorter_laps),
		cmocka_unit_test(short_buffers_have_one_area),
		cmocka_unit_test(largest_ring_and_buffers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <stdlib.h>

#include "memif_layout.h"
#include "memif_pack.h"
#include "unit.h"

#define GIB (UINT64_C(1) << 30)
#define REGION_MOST (4 * GIB) /* a descriptor's offset has 32 bits */

static struct mif_layout layout;
static struct mif_geometry geometry;

/** Bytes of a region that a ring or the buffers of one ring take. */
struct extent {
	uint16_t region;
	uint64_t first, end;
};

static struct extent extents[4 * MIF_RINGS_MAX];
static size_t extent_count;

static void
take(uint16_t region, uint64_t first, uint64_t bytes)
{
	assert_true(region < geometry.regions);
	assert_true(first + bytes <= geometry.region_size[region]);
	extents[extent_count++] = (struct extent){ region, first, first + bytes };
}

static int
by_place(const void *a, const void *b)
{
	const struct extent *x = a, *y = b;

	if (x->region != y->region)
		return x->region < y->region ? -1 : 1;
	return x->first < y->first ? -1 : x->first > y->first;
}

static void
assert_apart(void)
{
	qsort(extents, extent_count, sizeof(extents[0]), by_place);
	for (size_t i = 1; i < extent_count; i++)
		assert_true(extents[i - 1].region != extents[i].region ||
				extents[i - 1].end <= extents[i].first);
}

static void
check_ring(const struct mif_layout_cfg *cfg, enum mif_dir dir, uint16_t i)
{
	const struct mif_ring_place *place = &geometry.ring[dir][i];

	assert_int_equal(place->region, 0);
	assert_int_equal(place->log2_ring_size, cfg->log2_ring_size);
	assert_int_equal(place->offset % MIF_LINE_SIZE, 0);
	take(place->region, place->offset, 128 + (UINT64_C(16) << cfg->log2_ring_size));
}

static void
check_run(const struct mif_layout_cfg *cfg, enum mif_dir dir, uint16_t i)
{
	const struct mif_buffer_run *run = &layout.run[dir][i];
	uint64_t slots = UINT64_C(1) << cfg->log2_ring_size;
	uint64_t last = run->offset + slots * run->stride;

	assert_int_equal(run->offset % MIF_LINE_SIZE, 0);
	assert_int_equal(run->stride, mif_layout_stride(cfg->buffer_size, cfg->close[dir]));
	assert_true(last <= UINT32_MAX);
	take(run->region, run->offset,
			dir == MIF_C2S ? mif_pack_bytes(run->stride, cfg->log2_ring_size) :
					 slots * run->stride);
}

static void
check_regions(const struct mif_layout_cfg *cfg)
{
	assert_in_range(geometry.regions, 1, cfg->max_regions);
	for (uint16_t i = 0; i < geometry.regions; i++) {
		assert_true(geometry.region_size[i] > 0);
		assert_true(geometry.region_size[i] <= REGION_MOST);
		assert_true(geometry.region_size[i] % cfg->page_size == 0);
	}
}

static void
check_plan(const struct mif_layout_cfg *cfg)
{
	memset(&layout, 0xee, sizeof(layout));
	memset(&geometry, 0xee, sizeof(geometry));
	assert_int_equal(mif_layout_plan(&layout, &geometry, cfg), 0);
	assert_int_equal(layout.buffer_size, cfg->buffer_size);
	check_regions(cfg);
	extent_count = 0;
	for (int dir = 0; dir < MIF_DIRS; dir++) {
		assert_int_equal(geometry.rings[dir], cfg->rings[dir]);
		for (uint16_t i = 0; i < cfg->rings[dir]; i++) {
			check_ring(cfg, (enum mif_dir)dir, i);
			check_run(cfg, (enum mif_dir)dir, i);
		}
	}
	assert_apart();
}

static const uint32_t buffer_sizes[] = { 1, 63, 64, 65, 128, 512, 1500, 2048, 9216, 65472, 65535 };

static const struct mif_layout_cfg base = {
	.rings = { 1, 1 },
	.log2_ring_size = 10,
	.buffer_size = 2048,
	.max_regions = 256,
	.page_size = 4096,
};

static void
every_ring_size_and_buffer_size(void **state)
{
	static const uint16_t rings[][2] = { { 1, 1 }, { 1, 0 }, { 0, 1 }, { 4, 7 }, { 255, 1 },
		{ 255, 255 } };
	struct mif_layout_cfg cfg = base;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rings); i++) {
		memcpy(cfg.rings, rings[i], sizeof(cfg.rings));
		for (cfg.log2_ring_size = 1; cfg.log2_ring_size <= 14; cfg.log2_ring_size++) {
			for (size_t j = 0; j < COUNT_OF(buffer_sizes); j++) {
				cfg.buffer_size = buffer_sizes[j];
				check_plan(&cfg);
			}
		}
	}
}

static void
every_page_size(void **state)
{
	static const uint64_t pages[] = { 64, 4096, 65536, 2 << 20, GIB, 4 * GIB };
	struct mif_layout_cfg cfg = base;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(pages); i++) {
		cfg.page_size = pages[i];
		cfg.rings[MIF_C2S] = 1;
		check_plan(&cfg);
		cfg.rings[MIF_C2S] = 255;
		cfg.log2_ring_size = 14;
		check_plan(&cfg);
	}
}

/* 255 x 2 x 2^14 buffers of 64 KiB: 548 GB, three runs to a region. */
static void
the_largest_of_all(void **state)
{
	const struct mif_layout_cfg cfg = {
		.rings = { 255, 255 },
		.log2_ring_size = 14,
		.buffer_size = 65535,
		.max_regions = 256,
		.page_size = 4096,
	};
	uint64_t total = 0;

	(void)state;
	check_plan(&cfg);
	for (uint16_t i = 0; i < geometry.regions; i++)
		total += geometry.region_size[i];
	assert_true(total >= UINT64_C(510) * 16384 * 65535);
	assert_int_equal(geometry.regions, 170);
}

static void
too_many_regions(void **state)
{
	struct mif_layout_cfg cfg = {
		.rings = { 255, 255 },
		.log2_ring_size = 14,
		.buffer_size = 65535,
		.page_size = 4096,
	};

	(void)state;
	for (cfg.max_regions = 0; cfg.max_regions < 170; cfg.max_regions++)
		assert_int_equal(mif_layout_plan(&layout, &geometry, &cfg), -E2BIG);
	check_plan(&cfg);
	cfg.max_regions = UINT16_MAX;
	check_plan(&cfg);
	cfg = base;
	cfg.max_regions = 1;
	check_plan(&cfg);
	cfg.max_regions = 0;
	assert_int_equal(mif_layout_plan(&layout, &geometry, &cfg), -E2BIG);
}

/** One value out of its range. */
static const struct mif_layout_cfg bad[] = {
	{ { 256, 1 }, 10, 2048, 256, 4096 },
	{ { 1, 256 }, 10, 2048, 256, 4096 },
	{ { UINT16_MAX, UINT16_MAX }, 10, 2048, 256, 4096 },
	{ { 1, 1 }, 0, 2048, 256, 4096 },
	{ { 1, 1 }, 15, 2048, 256, 4096 },
	{ { 1, 1 }, 64, 2048, 256, 4096 },
	{ { 1, 1 }, 255, 2048, 256, 4096 },
	{ { 1, 1 }, 10, 0, 256, 4096 },
	{ { 1, 1 }, 10, 65536, 256, 4096 },
	{ { 1, 1 }, 10, UINT32_MAX, 256, 4096 },
	{ { 1, 1 }, 10, 2048, 256, 0 },
	{ { 1, 1 }, 10, 2048, 256, 1 },
	{ { 1, 1 }, 10, 2048, 256, 32 },
	{ { 1, 1 }, 10, 2048, 256, 4095 },
	{ { 1, 1 }, 10, 2048, 256, 4097 },
	{ { 1, 1 }, 10, 2048, 256, 3 << 20 },
	{ { 1, 1 }, 10, 2048, 256, 8 * GIB },
	{ { 1, 1 }, 10, 2048, 256, UINT64_C(1) << 63 },
	{ { 1, 1 }, 10, 2048, 256, UINT64_MAX },
};

static void
values_out_of_range(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_int_equal(mif_layout_plan(&layout, &geometry, &bad[i]), -EINVAL);
}

static void
stride_is_an_odd_number_of_lines(void **state)
{
	(void)state;
	for (uint32_t size = 1; size <= 65535; size++) {
		uint32_t stride = mif_layout_stride(size, false);

		assert_true(stride >= size);
		assert_int_equal(stride % (2 * MIF_LINE_SIZE), MIF_LINE_SIZE);
		assert_true(stride - size < 2 * MIF_LINE_SIZE);
	}
}

static void
close_buffers_have_no_line_between_them(void **state)
{
	(void)state;
	for (uint32_t size = 1; size <= 65535; size++) {
		uint32_t stride = mif_layout_stride(size, true);

		assert_true(stride >= size);
		assert_int_equal(stride % MIF_LINE_SIZE, 0);
		assert_true(stride - size < MIF_LINE_SIZE);
	}
}

/* Each direction has its own, and neither disturbs the other. */
static void
one_direction_can_be_close(void **state)
{
	struct mif_layout_cfg cfg = base;

	(void)state;
	cfg.rings[MIF_C2S] = 3;
	cfg.rings[MIF_S2C] = 2;
	for (int dir = 0; dir < MIF_DIRS; dir++) {
		cfg.close[dir] = true;
		cfg.close[!dir] = false;
		check_plan(&cfg);
		assert_int_equal(layout.run[dir][0].stride, 2048);
		assert_int_equal(layout.run[!dir][0].stride, 2112);
	}
}

/* What the odd stride is for: buffers of a ring begin in as many cache sets as can be. */
static void
buffers_spread_over_cache_sets(void **state)
{
	enum {
		SETS = 64
	}; /* of a 32 or 48 KiB first-level cache */

	(void)state;
	for (size_t i = 0; i < COUNT_OF(buffer_sizes); i++) {
		uint32_t stride = mif_layout_stride(buffer_sizes[i], false);
		bool used[SETS] = { false };

		for (uint32_t buffer = 0; buffer < SETS; buffer++) {
			uint32_t set = buffer * stride / MIF_LINE_SIZE % SETS;

			assert_false(used[set]);
			used[set] = true;
		}
	}
}

static void
rings_do_not_share_line_pairs(void **state)
{
	struct mif_layout_cfg cfg = base;

	(void)state;
	cfg.rings[MIF_C2S] = 3;
	for (cfg.log2_ring_size = 1; cfg.log2_ring_size <= 14; cfg.log2_ring_size++) {
		check_plan(&cfg);
		for (int dir = 0; dir < MIF_DIRS; dir++)
			for (uint16_t i = 0; i < cfg.rings[dir]; i++)
				assert_int_equal(geometry.ring[dir][i].offset % 128, 0);
	}
}

/* A server with the protocol's own limits takes what we lay out. */
static void
server_takes_every_ring(void **state)
{
	static struct mif_conn conn;
	const struct mif_limits limits = { 256, { 255, 255 }, 14 };
	struct mif_layout_cfg cfg = base;
	struct mif_actions actions;
	struct mif_msg msg;

	(void)state;
	cfg.rings[MIF_C2S] = 255;
	cfg.rings[MIF_S2C] = 255;
	for (cfg.log2_ring_size = 1; cfg.log2_ring_size <= 14; cfg.log2_ring_size++) {
		check_plan(&cfg);
		mif_conn_start_server(&conn, "", &limits, &actions);
		conn.state = MIF_STATE_SETUP;
		for (uint16_t i = 0; i < geometry.regions; i++) {
			msg = mif_msg_add_region(i, geometry.region_size[i]);
			mif_conn_message(&conn, &msg, 1, &actions);
		}
		for (uint16_t i = 0; i < 510; i++) {
			const struct mif_ring_place *place = &geometry.ring[i % 2][i / 2];

			msg = mif_msg_add_ring((enum mif_dir)(i % 2), i / 2, place->region,
					place->offset, place->log2_ring_size);
			mif_conn_message(&conn, &msg, 1, &actions);
			assert_int_equal(conn.state, MIF_STATE_SETUP);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_ring_size_and_buffer_size),
		cmocka_unit_test(every_page_size),
		cmocka_unit_test(the_largest_of_all),
		cmocka_unit_test(too_many_regions),
		cmocka_unit_test(values_out_of_range),
		cmocka_unit_test(stride_is_an_odd_number_of_lines),
		cmocka_unit_test(close_buffers_have_no_line_between_them),
		cmocka_unit_test(one_direction_can_be_close),
		cmocka_unit_test(buffers_spread_over_cache_sets),
		cmocka_unit_test(rings_do_not_share_line_pairs),
		cmocka_unit_test(server_takes_every_ring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

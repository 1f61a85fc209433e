/* SPDX-License-Identifier: BSD-3-Clause */

/* Server: which rings of a client it takes, and which it refuses. */

#include "conn_drive.h"
#include "memif_conn.h"
#include "unit.h"

static struct drive drive;

static const struct mif_msg_add_ring good = { .flags = 1, .log2_ring_size = DRIVE_LOG2 };

static void
add_ring(struct mif_msg_add_ring ring, const char *reason)
{
	struct mif_msg msg = { .type = 5 };
	enum mif_dir dir = (ring.flags & 1) != 0 ? MIF_C2S : MIF_S2C;
	const struct mif_ring_place *place;

	msg.add_ring = ring;
	drive_message(&drive, &msg, 1);
	if (reason != NULL) {
		drive_assert_failed_for(&drive, reason);
		return;
	}
	drive_assert_actions(&drive, MIF_ACT_TAKE_RING, MIF_ACT_SEND);
	drive_assert_sends(&drive, 1, 1);
	assert_int_equal(drive.actions.list[0].dir, dir);
	assert_int_equal(drive.actions.list[0].index, ring.index);
	assert_int_equal(drive.conn.geometry.rings[dir], ring.index + 1);
	place = &drive.conn.geometry.ring[dir][ring.index];
	assert_int_equal(place->region, ring.region);
	assert_int_equal(place->offset, ring.offset);
	assert_int_equal(place->log2_ring_size, ring.log2_ring_size);
}

/** A server that has got regions of these sizes. */
static void
set_up(uint64_t size0, uint64_t size1)
{
	drive_server(&drive, MIF_STATE_SETUP);
	drive.conn.geometry.region_size[0] = size0;
	drive.conn.geometry.region_size[1] = size1;
}

static void
ring_size(void **state)
{
	static const uint8_t wrong[] = { 0, 15, 16, 31, 32, 63, 64, 65, 127, 128, 255 };
	struct mif_msg_add_ring ring = good;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		set_up(UINT64_C(1) << 40, 4096);
		ring.log2_ring_size = wrong[i];
		add_ring(ring, "invalid ring size");
	}
	for (uint8_t log2 = 1; log2 <= 14; log2++) {
		set_up(UINT64_C(1) << 40, 4096);
		ring.log2_ring_size = log2;
		add_ring(ring, NULL);
	}
	set_up(UINT64_C(1) << 40, 4096);
	drive.conn.limits.log2_ring_size = 13;
	add_ring(ring, "invalid ring size");
}

static void
ring_ends_where_its_region_ends(void **state)
{
	struct mif_msg_add_ring ring = good;

	(void)state;
	ring.region = 1;
	for (uint8_t log2 = 1; log2 <= 14; log2++) {
		uint64_t bytes = 128 + (UINT64_C(16) << log2);

		ring.log2_ring_size = log2;
		for (uint32_t offset = 0; offset <= 64; offset += 16) {
			ring.offset = offset;
			set_up(4096, offset + bytes);
			add_ring(ring, NULL);
			set_up(UINT64_C(1) << 40, offset + bytes - 1);
			add_ring(ring, "ring outside its region");
		}
	}
}

static void
ring_far_outside_its_region(void **state)
{
	static const uint32_t offsets[] = { 4096, 8192, 0x7ffffff0, 0x80000000, 0xffffff00,
		0xfffffff0 };
	struct mif_msg_add_ring ring = good;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(offsets); i++) {
		ring.offset = offsets[i];
		set_up(4096, UINT64_C(1) << 40);
		add_ring(ring, "ring outside its region");
	}
	/* The last one, where 32 bits would wrap round to the region's start. */
	set_up(UINT64_C(1) << 32, 4096);
	add_ring(ring, "ring outside its region");
	set_up((UINT64_C(1) << 32) - 16 + 128 + 256, 4096);
	add_ring(ring, NULL);
}

static void
ring_at_any_16_bytes(void **state)
{
	struct mif_msg_add_ring ring = good;

	(void)state;
	for (uint32_t offset = 0; offset <= 256; offset++) {
		set_up(DRIVE_REGION_SIZE, 4096);
		ring.offset = offset;
		add_ring(ring, offset % 16 == 0 ? NULL : "misaligned ring");
	}
}

static void
ring_in_an_unknown_region(void **state)
{
	static const uint16_t wrong[] = { 2, 3, 255, 256, 257, 0x8000, 65535 };
	struct mif_msg_add_ring ring = good;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		set_up(DRIVE_REGION_SIZE, DRIVE_REGION_SIZE);
		ring.region = wrong[i];
		add_ring(ring, "ring in an unknown region");
	}
}

static void
ring_index(void **state)
{
	static const uint16_t wrong[] = { 0, 2, 3, 254, 255, 256, 257, 0x8001, 65535 };
	struct mif_msg_add_ring ring = good;

	(void)state;
	for (uint16_t flags = 0; flags <= 1; flags++) {
		for (size_t i = 0; i < COUNT_OF(wrong); i++) {
			set_up(DRIVE_REGION_SIZE, DRIVE_REGION_SIZE);
			ring.flags = flags;
			ring.index = 0;
			ring.offset = 0;
			add_ring(ring, NULL);
			ring.index = wrong[i];
			ring.offset = 1024;
			add_ring(ring, "invalid ring index");
			assert_int_equal(drive.conn.geometry.rings[flags == 1 ? MIF_C2S : MIF_S2C],
					1);
		}
	}
	set_up(DRIVE_REGION_SIZE, DRIVE_REGION_SIZE);
	ring.index = 1;
	add_ring(ring, "invalid ring index");
}

/* Of each direction on its own. */
static void
no_more_rings_than_the_limit(void **state)
{
	static const uint16_t limits[] = { 1, 2, 254, 255 };
	struct mif_msg_add_ring ring = good;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(limits) * 2; i++) {
		uint16_t limit = limits[i / 2];
		enum mif_dir dir = i % 2 == 0 ? MIF_C2S : MIF_S2C;

		set_up(UINT64_C(1) << 32, 4096);
		drive.conn.limits.rings[dir] = limit;
		ring.flags = dir == MIF_C2S;
		for (ring.index = 0; ring.index < limit; ring.index++) {
			ring.offset = 1024u * ring.index;
			add_ring(ring, NULL);
		}
		ring.offset = 1024u * ring.index;
		add_ring(ring, "invalid ring index");
	}
}

static void
rings_side_by_side(void **state)
{
	struct mif_msg_add_ring ring = good;
	uint32_t bytes = 128 + 16 * 2;

	(void)state;
	ring.log2_ring_size = 1;
	set_up(510 * bytes, 4096);
	for (uint16_t i = 0; i < 510; i++) {
		/* Both directions in turn, from the region's end to its start. */
		ring.flags = i % 2;
		ring.index = i / 2;
		ring.offset = (509u - i) * bytes;
		add_ring(ring, NULL);
	}
}

static void
overlapping_rings(void **state)
{
	struct mif_msg_add_ring ring = good;
	uint32_t bytes = 128 + 16 * 16;

	(void)state;
	for (uint16_t flags = 0; flags <= 1; flags++) {
		for (uint32_t offset = 0; offset <= 3 * bytes; offset += 16) {
			bool apart = offset <= 0 || offset >= 2 * bytes;

			set_up(8 * bytes, 8 * bytes);
			ring.flags = 1;
			ring.index = 0;
			ring.offset = bytes;
			add_ring(ring, NULL);
			ring.flags = flags;
			ring.index = flags;
			ring.offset = offset;
			add_ring(ring, apart ? NULL : "overlapping rings");
		}
	}
}

static void
large_ring_over_a_small_one(void **state)
{
	struct mif_msg_add_ring small = good, large = good;

	(void)state;
	small.log2_ring_size = 1;
	small.offset = 4096;
	large.index = 1;
	large.log2_ring_size = 10;
	set_up(1 << 20, 1 << 20);
	add_ring(small, NULL);
	add_ring(large, "overlapping rings");
	set_up(1 << 20, 1 << 20);
	large.index = 0;
	small.index = 1;
	add_ring(large, NULL);
	add_ring(small, "overlapping rings");
	/* The same offsets in another region are fine. */
	set_up(1 << 20, 1 << 20);
	small.region = 1;
	add_ring(large, NULL);
	add_ring(small, NULL);
}

/* Past 4 GiB the ends of two rings must not wrap. */
static void
rings_over_4_gib(void **state)
{
	struct mif_msg_add_ring last = good, first = good;

	(void)state;
	last.offset = 0xfffffff0;
	last.index = 1;
	set_up(UINT64_C(1) << 33, 4096);
	add_ring(first, NULL);
	add_ring(last, NULL);
	set_up(UINT64_C(1) << 33, 4096);
	last.index = 0;
	first.index = 1;
	add_ring(last, NULL);
	add_ring(first, NULL);
}

static bool
rings_are_sound(const struct mif_geometry *geometry)
{
	uint8_t used[2][0x4000] = { { 0 } };

	for (int dir = 0; dir < MIF_DIRS; dir++) {
		for (uint16_t i = 0; i < geometry->rings[dir]; i++) {
			const struct mif_ring_place *place = &geometry->ring[dir][i];
			uint64_t end = (uint64_t)place->offset + 128 +
					(UINT64_C(16) << place->log2_ring_size);

			if (place->region >= geometry->regions || end > 0x4000)
				return false;
			for (uint64_t at = place->offset; at < end; at++)
				if (used[place->region][at]++ != 0)
					return false;
		}
	}
	return true;
}

/* Whatever comes, what has been taken lies inside the regions and nothing lies on top. */
static void
random_rings(void **state)
{
	uint32_t seed = 0x5eed;
	unsigned int taken = 0;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		set_up(0x4000, 0x4000);
		while (drive.conn.state == MIF_STATE_SETUP) {
			struct mif_msg msg = { .type = 5 };

			msg.add_ring.flags = unit_random(&seed) % 2;
			msg.add_ring.index = drive.conn.geometry.rings[msg.add_ring.flags ^ 1];
			msg.add_ring.region = unit_random(&seed) % 16 == 0 ? 2 : seed % 2;
			msg.add_ring.offset = unit_random(&seed) % 0x440 * 16;
			msg.add_ring.log2_ring_size = unit_random(&seed) % 9;
			drive_message(&drive, &msg, 1);
			taken += drive.conn.state == MIF_STATE_SETUP;
		}
		if (!rings_are_sound(&drive.conn.geometry))
			fail();
	}
	assert_in_range(taken, 20000, UINT32_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ring_size),
		cmocka_unit_test(ring_ends_where_its_region_ends),
		cmocka_unit_test(ring_far_outside_its_region),
		cmocka_unit_test(ring_at_any_16_bytes),
		cmocka_unit_test(ring_in_an_unknown_region),
		cmocka_unit_test(ring_index),
		cmocka_unit_test(no_more_rings_than_the_limit),
		cmocka_unit_test(rings_side_by_side),
		cmocka_unit_test(overlapping_rings),
		cmocka_unit_test(large_ring_over_a_small_one),
		cmocka_unit_test(rings_over_4_gib),
		cmocka_unit_test(random_rings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

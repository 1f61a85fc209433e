/* SPDX-License-Identifier: BSD-3-Clause */

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "memif_desc.h"
#include "unit.h"

/* In 128 bits, where nothing can wrap. */
static bool
inside(uint64_t size, uint32_t offset, uint32_t length)
{
	return (unsigned __int128)offset + length <= size && length != 0;
}

static struct mif_desc
desc_at(uint16_t region, uint32_t offset, uint32_t length)
{
	return (struct mif_desc){ .region = region, .offset = offset, .length = length };
}

static void
check_around(const struct mif_span *regions, uint32_t count, uint16_t region, uint64_t size)
{
	const uint32_t edges[] = { 0, 1, 2, 63, 64, 65, (uint32_t)size - 2, (uint32_t)size - 1,
		(uint32_t)size, (uint32_t)size + 1, (uint32_t)size / 2, (uint32_t)size / 2 + 1,
		0x7fffffff, 0x80000000, 0x80000001, UINT32_MAX - 1, UINT32_MAX };
	struct mif_desc desc;

	for (size_t i = 0; i < COUNT_OF(edges); i++) {
		for (size_t j = 0; j < COUNT_OF(edges); j++) {
			desc = desc_at(region, edges[i], edges[j]);
			assert_int_equal(mif_desc_ok(regions, count, desc),
					inside(size, edges[i], edges[j]));
			if (edges[i] <= size) { /* to the last byte and one further */
				desc.length = (uint32_t)(size - edges[i]);
				assert_int_equal(mif_desc_ok(regions, count, desc),
						inside(size, desc.offset, desc.length));
				desc.length++;
				assert_int_equal(mif_desc_ok(regions, count, desc),
						inside(size, desc.offset, desc.length));
			}
		}
	}
}

static const uint64_t sizes[] = { 0, 1, 2, 63, 64, 4096, 0x7fffffff, 0x80000000, 0xfffffffe,
	0xffffffff, UINT64_C(1) << 32, (UINT64_C(1) << 32) + 1, (UINT64_C(1) << 33) - 2,
	(UINT64_C(1) << 33) - 1, UINT64_C(1) << 40, UINT64_MAX };

static void
every_boundary_of_every_size(void **state)
{
	struct mif_span regions[COUNT_OF(sizes)];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(sizes); i++)
		regions[i] = (struct mif_span){ .size = sizes[i] };
	for (uint16_t i = 0; i < COUNT_OF(sizes); i++) {
		check_around(&regions[i], 1, 0, sizes[i]);
		check_around(regions, COUNT_OF(sizes), i, sizes[i]);
	}
}

/* The values that 32 bits would get wrong, spelled out. */
static void
sums_that_wrap_in_32_bits(void **state)
{
	const struct mif_span region = { .size = 4096 };
	const struct mif_span largest = { .size = UINT64_C(1) << 32 };

	(void)state;
	assert_false(mif_desc_ok(&region, 1, desc_at(0, UINT32_MAX, UINT32_MAX)));
	assert_false(mif_desc_ok(&region, 1, desc_at(0, UINT32_MAX, 1)));
	assert_false(mif_desc_ok(&region, 1, desc_at(0, 1, UINT32_MAX)));
	assert_false(mif_desc_ok(&region, 1, desc_at(0, UINT32_MAX - 63, 64)));
	assert_false(mif_desc_ok(&region, 1, desc_at(0, UINT32_MAX - 63, 128)));
	assert_false(mif_desc_ok(&largest, 1, desc_at(0, UINT32_MAX, UINT32_MAX)));
	assert_true(mif_desc_ok(&largest, 1, desc_at(0, UINT32_MAX, 1)));
	assert_true(mif_desc_ok(&largest, 1, desc_at(0, 1, UINT32_MAX)));
	assert_true(mif_desc_ok(&region, 1, desc_at(0, 0, 4096)));
	assert_false(mif_desc_ok(&region, 1, desc_at(0, 0, 4097)));
	assert_true(mif_desc_ok(&region, 1, desc_at(0, 4095, 1)));
	assert_false(mif_desc_ok(&region, 1, desc_at(0, 4096, 1)));
}

static void
region_out_of_range(void **state)
{
	struct mif_span regions[256];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(regions); i++)
		regions[i] = (struct mif_span){ .size = 4096 };
	for (uint32_t count = 0; count <= COUNT_OF(regions); count++) {
		for (uint32_t region = 0; region <= UINT16_MAX; region += region < 300 ? 1 : 251)
			assert_int_equal(mif_desc_ok(regions, count,
							 desc_at((uint16_t)region, 0, 64)),
					region < count);
		assert_false(mif_desc_ok(regions, count, desc_at(UINT16_MAX, 0, 64)));
	}
}

static void
empty_is_never_right(void **state)
{
	const struct mif_span regions[] = { { .size = 0 }, { .size = UINT64_MAX } };

	(void)state;
	for (uint16_t region = 0; region < COUNT_OF(regions); region++) {
		assert_false(mif_desc_ok(regions, 2, desc_at(region, 0, 0)));
		assert_false(mif_desc_ok(regions, 2, desc_at(region, 1, 0)));
		assert_false(mif_desc_ok(regions, 2, desc_at(region, UINT32_MAX, 0)));
	}
	assert_false(mif_desc_ok(regions, 2, desc_at(0, 0, 1)));
}

/* Flags and metadata are no business of the check. */
static void
other_fields_do_not_matter(void **state)
{
	const struct mif_span region = { .size = 4096 };
	struct mif_desc desc = desc_at(0, 4000, 96);

	(void)state;
	desc.flags = UINT16_MAX;
	desc.metadata = UINT32_MAX;
	assert_true(mif_desc_ok(&region, 1, desc));
	desc.length = 97;
	assert_false(mif_desc_ok(&region, 1, desc));
}

static void
data_is_found_in_its_region(void **state)
{
	const size_t size = (size_t)1 << 32;
	uint8_t *memory = mmap(NULL, 2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const struct mif_span regions[] = { { memory, size }, { memory + size, size } };

	(void)state;
	assert_true(memory != MAP_FAILED);
	assert_ptr_equal(mif_desc_data(regions, desc_at(0, 0, 1)), memory);
	assert_ptr_equal(mif_desc_data(regions, desc_at(0, UINT32_MAX, 1)), memory + size - 1);
	assert_ptr_equal(mif_desc_data(regions, desc_at(1, 0, 1)), memory + size);
	assert_ptr_equal(mif_desc_data(regions, desc_at(1, UINT32_MAX, 1)), memory + 2 * size - 1);
	munmap(memory, 2 * size);
}

static void
write_then_read(void **state)
{
	struct mif_desc slots[3];
	const struct mif_desc desc = { .flags = 0x0102,
		.region = 0x0304,
		.length = 0x05060708,
		.offset = 0x090a0b0c,
		.metadata = 0x0d0e0f10 };
	struct mif_desc copy;

	(void)state;
	memset(slots, 0xee, sizeof(slots));
	mif_desc_write(&slots[1], desc);
	copy = mif_desc_read(&slots[1]);
	assert_memory_equal(&copy, &desc, sizeof(desc));
	for (size_t i = 0; i < sizeof(slots[0]); i++) {
		assert_int_equal(((uint8_t *)&slots[0])[i], 0xee);
		assert_int_equal(((uint8_t *)&slots[2])[i], 0xee);
	}
}

static void
copy_does_not_follow_the_slot(void **state)
{
	struct mif_desc slot = desc_at(0, 0, 64);
	struct mif_desc copy = mif_desc_read(&slot);

	(void)state;
	slot = desc_at(9, UINT32_MAX, UINT32_MAX);
	__asm__ volatile("" : : "r"(&slot) : "memory");
	assert_int_equal(copy.region, 0);
	assert_int_equal(copy.offset, 0);
	assert_int_equal(copy.length, 64);
}

/** A slot that another thread keeps changing. */
struct flipping {
	struct mif_desc slot;
	atomic_bool stop;
};

static const struct mif_desc heads = { .length = 64, .offset = 0x1000 };
static const struct mif_desc tails = { .flags = 0xffff,
	.region = 0xffff,
	.length = UINT32_MAX,
	.offset = UINT32_MAX,
	.metadata = UINT32_MAX };

static void *
flip(void *argument)
{
	struct flipping *flipping = argument;
	mif_desc_word words[2][2];
	mif_desc_word *slot = (mif_desc_word *)&flipping->slot;

	memcpy(words[0], &heads, sizeof(heads));
	memcpy(words[1], &tails, sizeof(tails));
	for (unsigned int i = 0; !atomic_load_explicit(&flipping->stop, memory_order_relaxed);
			i++) {
		__atomic_store_n(&slot[0], words[i & 1][0], __ATOMIC_RELAXED);
		__atomic_store_n(&slot[1], words[i & 1][1], __ATOMIC_RELAXED);
	}
	return NULL;
}

/* Each half of the copy is one that was written, and an accepted copy stays acceptable. */
static bool
copy_is_sound(struct mif_desc copy)
{
	const struct mif_span region = { .size = 0x2000 };
	bool first = memcmp(&copy, &heads, 8) == 0;
	bool second = memcmp((uint8_t *)&copy + 8, (const uint8_t *)&heads + 8, 8) == 0;

	if (!first && memcmp(&copy, &tails, 8) != 0)
		return false;
	if (!second && memcmp((uint8_t *)&copy + 8, (const uint8_t *)&tails + 8, 8) != 0)
		return false;
	return mif_desc_ok(&region, 1, copy) == (first && second);
}

static void
slot_changes_while_it_is_read(void **state)
{
	struct flipping flipping = { .slot = heads };
	unsigned int seen[2] = { 0, 0 };
	struct mif_desc copy;
	pthread_t thread;
	bool sound = true;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, flip, &flipping), 0);
	for (int i = 0; i < 50000000 && sound && (seen[0] < 100000 || seen[1] < 100000); i++) {
		copy = mif_desc_read(&flipping.slot);
		sound = copy_is_sound(copy);
		seen[copy.length == heads.length]++;
	}
	atomic_store(&flipping.stop, true);
	pthread_join(thread, NULL);
	assert_true(sound);
	assert_true(seen[0] > 0 && seen[1] > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_boundary_of_every_size),
		cmocka_unit_test(sums_that_wrap_in_32_bits),
		cmocka_unit_test(region_out_of_range),
		cmocka_unit_test(empty_is_never_right),
		cmocka_unit_test(other_fields_do_not_matter),
		cmocka_unit_test(data_is_found_in_its_region),
		cmocka_unit_test(write_then_read),
		cmocka_unit_test(copy_does_not_follow_the_slot),
		cmocka_unit_test(slot_changes_while_it_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */

/* A page that lasts: what it shows, and that reading it is safe whatever becomes of the memory. */

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memif_mirror.h"
#include "unit.h"

#define PAGE ((size_t)sysconf(_SC_PAGESIZE))
#define OFFSET 64 /* of an index in its page */
#define ROUNDS 200

/** Shared memory of three pages; the middle one has the index. */
struct memory {
	int fd;
	uint8_t *addr;
	volatile uint16_t *index;
};

static void
memory_open(struct memory *memory)
{
	memory->fd = memfd_create("unit", MFD_CLOEXEC);
	assert_true(memory->fd >= 0);
	assert_int_equal(ftruncate(memory->fd, (off_t)(3 * PAGE)), 0);
	memory->addr = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, memory->fd, 0);
	assert_true(memory->addr != MAP_FAILED);
	memory->index = (volatile uint16_t *)(void *)(memory->addr + PAGE + OFFSET);
}

static void
memory_close(struct memory *memory)
{
	munmap(memory->addr, 3 * PAGE);
	close(memory->fd);
}

static uint16_t
seen(const struct mif_mirror *mirror, const struct memory *memory)
{
	return *(const volatile uint16_t *)mif_mirror_at(mirror,
			(const void *)(uintptr_t)memory->index);
}

static int
show(struct mif_mirror *mirror, const struct memory *memory)
{
	return mif_mirror_show(mirror, (const void *)(uintptr_t)memory->index);
}

static unsigned int
count_mappings(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned int count = 0;
	int c;

	assert_non_null(maps);
	while ((c = fgetc(maps)) != EOF)
		count += c == '\n';
	fclose(maps);
	return count;
}

static void
shows_what_is_written(void **state)
{
	struct mif_mirror mirror = { 0 };
	struct memory memory;

	(void)state;
	memory_open(&memory);
	assert_int_equal(mif_mirror_open(&mirror), 0);
	assert_int_equal(seen(&mirror, &memory), 0);
	assert_int_equal(show(&mirror, &memory), 0);
	for (uint16_t i = 1; i < 1000; i++) {
		*memory.index = i;
		assert_int_equal(seen(&mirror, &memory), i);
	}
	mif_mirror_hide(&mirror);
	assert_int_equal(seen(&mirror, &memory), 0);
	/* And is no way back into the memory. */
	*(volatile uint16_t *)mif_mirror_at(&mirror, (const void *)(uintptr_t)memory.index) = 5;
	assert_int_equal(*memory.index, 999);
	mif_mirror_close(&mirror);
	mif_mirror_close(&mirror);
	memory_close(&memory);
}

/* The address of one mirror serves any number of memories, which are gone when they are. */
static void
lasts_over_many_memories(void **state)
{
	struct mif_mirror mirror = { 0 };
	struct memory memory;
	unsigned int before;
	const void *place = NULL;

	(void)state;
	assert_int_equal(mif_mirror_open(&mirror), 0);
	before = count_mappings();
	for (uint16_t i = 0; i < ROUNDS; i++) {
		memory_open(&memory);
		*memory.index = i;
		assert_int_equal(show(&mirror, &memory), 0);
		assert_int_equal(seen(&mirror, &memory), i);
		if (i == 0)
			place = mif_mirror_at(&mirror, (const void *)(uintptr_t)memory.index);
		/* Now and then the next one comes without a hide. */
		if (i % 3 != 0)
			mif_mirror_hide(&mirror);
		memory_close(&memory);
		assert_true(*(const volatile uint16_t *)place == (i % 3 != 0 ? 0 : i));
	}
	mif_mirror_hide(&mirror);
	assert_true(count_mappings() <= before + 1);
	mif_mirror_close(&mirror);
}

static void
survives_memory_that_is_cut_short(void **state)
{
	struct mif_mirror mirror = { 0 };
	struct memory memory;

	(void)state;
	assert_int_equal(mif_mirror_open(&mirror), 0);
	for (int i = 0; i < 3; i++) {
		memory_open(&memory);
		*memory.index = 7;
		assert_int_equal(show(&mirror, &memory), 0);
		assert_int_equal(seen(&mirror, &memory), 7);
		assert_int_equal(ftruncate(memory.fd, 0), 0);
		assert_int_equal(seen(&mirror, &memory), 0);
		mif_mirror_hide(&mirror);
		assert_int_equal(seen(&mirror, &memory), 0);
		memory_close(&memory);
	}
	mif_mirror_close(&mirror);
}

static void
refuses_what_cannot_be_shown(void **state)
{
	struct mif_mirror mirror = { 0 };
	struct memory memory;

	(void)state;
	memory_open(&memory);
	assert_int_equal(mif_mirror_open(&mirror), 0);
	assert_int_equal(show(&mirror, &memory), 0);
	memory_close(&memory);
	/* Nothing is mapped there. */
	assert_true(show(&mirror, &memory) < 0);
	assert_int_equal(seen(&mirror, &memory), 0);
	mif_mirror_close(&mirror);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shows_what_is_written),
		cmocka_unit_test(lasts_over_many_memories),
		cmocka_unit_test(survives_memory_that_is_cut_short),
		cmocka_unit_test(refuses_what_cannot_be_shown),
	};

	return cmocka_run_group_tests_name("mirror", tests, NULL, NULL);
}

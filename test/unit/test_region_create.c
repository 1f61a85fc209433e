/* SPDX-License-Identifier: BSD-3-Clause */

/* Regions that a client makes; those that it is given are in test_region.c. */

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memif_region.h"
#include "region_check.h"
#include "unit.h"

static bool
all_zero(const struct mif_region *region)
{
	for (uint64_t i = 0; i < region->size; i++)
		if (region->addr[i] != 0)
			return false;
	return true;
}

static void
created_region_is_zero_shared_and_cloexec(void **state)
{
	static const uint64_t pages[] = { 1, 2, 511, 4096 };
	struct unit_holdings before = unit_holdings();
	struct mif_region region;
	struct stat status;
	uint8_t byte = 0;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(pages); i++) {
		assert_int_equal(mif_region_create(&region, pages[i] * PAGE, "unit"), 0);
		assert_true(region.size == pages[i] * PAGE);
		assert_true(region.page_size == PAGE);
		assert_true(region.sealed);
		assert_true(all_zero(&region));
		assert_int_equal(fcntl(region.fd, F_GETFD), FD_CLOEXEC);
		assert_int_equal(fstat(region.fd, &status), 0);
		assert_true((uint64_t)status.st_size == region.size);
		region.addr[region.size - 1] = 0x5a;
		assert_int_equal(pread(region.fd, &byte, 1, (off_t)region.size - 1), 1);
		assert_int_equal(byte, 0x5a);
		mif_region_release(&region);
		assert_none(&region);
		assert_holdings(before);
	}
}

static void
created_region_keeps_its_size(void **state)
{
	struct mif_region region;

	(void)state;
	assert_int_equal(mif_region_create(&region, 4 * PAGE, "unit"), 0);
	assert_int_equal(fcntl(region.fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	assert_int_equal(ftruncate(region.fd, (off_t)PAGE), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(region.fd, (off_t)(8 * PAGE)), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(fcntl(region.fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), -1);
	mif_region_release(&region);
}

/* Making them would hold the control thread up. */
static void
created_region_has_no_pages(void **state)
{
	static const uint64_t sizes[] = { 1 << 20, 64 << 20, UINT64_C(8) << 30 };
	struct mif_region region;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		assert_int_equal(mif_region_create(&region, sizes[i], "unit"), 0);
		assert_true(bytes_there(region.fd) == 0);
		mif_region_release(&region);
	}
}

static void
what_cannot_be_created(void **state)
{
	const uint64_t sizes[] = { 0, 1, PAGE - 1, PAGE + 1, 3 * PAGE / 2, INT64_MAX,
		(uint64_t)INT64_MAX + 1, UINT64_MAX - PAGE + 1, UINT64_MAX };
	struct unit_holdings before = unit_holdings();
	struct mif_region region;
	char name[300];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		assert_int_equal(mif_region_create(&region, sizes[i], "unit"), -EINVAL);
		assert_none(&region);
	}
	/* A file of this size can be, a mapping cannot. */
	assert_int_equal(mif_region_create(&region, UINT64_C(1) << 47, "unit"), -ENOMEM);
	assert_none(&region);
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	assert_int_equal(mif_region_create(&region, PAGE, name), -EINVAL);
	assert_none(&region);
	assert_holdings(before);
}

/* Nor is one's own filled in mmap(). What is used is locked, as that process has asked for: who drops
 * such pages is told so. */
static int
create_in_a_locked_process(void)
{
	struct mif_region region;

	lock_all_memory();
	if (mif_region_create(&region, 4096 * PAGE, "unit") != 0)
		return 1;
	if (madvise(region.addr, PAGE, MADV_DONTNEED) == 0 || errno != EINVAL)
		return 2;
	region.addr[0] = 1;
	return bytes_there(region.fd) == PAGE ? 44 : 3;
}

static void
created_region_is_not_filled(void **state)
{
	(void)state;
	check_in_a_child(create_in_a_locked_process);
}

static void
release_of_nothing_is_harmless(void **state)
{
	struct unit_holdings before = unit_holdings();
	struct mif_region region = MIF_REGION_NONE;

	(void)state;
	mif_region_release(&region);
	mif_region_release(&region);
	assert_none(&region);
	assert_int_equal(mif_region_create(&region, PAGE, "unit"), 0);
	mif_region_release(&region);
	mif_region_release(&region);
	assert_none(&region);
	assert_holdings(before);
	assert_true(mif_region_page_size() == PAGE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(created_region_is_zero_shared_and_cloexec),
		cmocka_unit_test(created_region_keeps_its_size),
		cmocka_unit_test(created_region_has_no_pages),
		cmocka_unit_test(what_cannot_be_created),
		cmocka_unit_test(created_region_is_not_filled),
		cmocka_unit_test(release_of_nothing_is_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

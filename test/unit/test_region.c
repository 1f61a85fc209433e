/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "memif_region.h"
#include "region_check.h"
#include "unit.h"

#define HUGE_PAGE (UINT64_C(2) << 20)
#define MEMFD_2MB (21u << 26) /* MFD_HUGE_2MB, which glibc does not name */

static int
memfd(uint64_t size, int seals)
{
	int fd = memfd_create("unit", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	if (seals != 0)
		assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

/* Taken with peer-memory=any or sealed, and used. */
static void
taken(int fd, uint64_t size, bool sealed_only, bool is_sealed)
{
	struct mif_region region;
	const char *why = NULL;
	uint8_t byte = 0;
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	assert_int_equal(mif_region_adopt(&region, fd, size, sealed_only, &why), 0);
	assert_null(why);
	/* The mapping is enough: hundreds of files would use up the process's own. */
	assert_int_equal(region.fd, -1);
	unit_wait_for_discards();
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_true(region.size == size);
	assert_int_equal(region.sealed, is_sealed);
	region.addr[size - 1] = 0xa5;
	assert_int_equal(pread(copy, &byte, 1, (off_t)size - 1), 1);
	assert_int_equal(byte, 0xa5);
	close(copy);
	mif_region_release(&region);
	assert_none(&region);
}

/* Refused for this reason, whatever peer-memory is; the file is closed. */
static void
refused(int fd, uint64_t size, bool sealed_only, const char *reason)
{
	struct mif_region region;
	const char *why = NULL;

	assert_true(mif_region_adopt(&region, fd, size, sealed_only, &why) < 0);
	assert_non_null(why);
	assert_string_equal(why, reason);
	assert_none(&region);
	unit_wait_for_discards();
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void
memfds_are_taken(void **state)
{
	struct unit_holdings before = unit_holdings();
	const int all = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

	(void)state;
	taken(memfd(4 * PAGE, 0), 4 * PAGE, false, false);
	taken(memfd(4 * PAGE, F_SEAL_GROW), 4 * PAGE, false, false);
	taken(memfd(4 * PAGE, F_SEAL_SHRINK), 4 * PAGE, false, true);
	taken(memfd(4 * PAGE, F_SEAL_SHRINK), 4 * PAGE, true, true);
	taken(memfd(4 * PAGE, all), 4 * PAGE, true, true);
	assert_holdings(before);
}

/* The peer may use less of the file, and no whole pages. */
static void
part_of_a_file_is_taken(void **state)
{
	struct unit_holdings before = unit_holdings();

	(void)state;
	for (uint64_t size = 1; size <= 2 * PAGE; size += PAGE - 1)
		taken(memfd(4 * PAGE, F_SEAL_SHRINK), size, true, true);
	taken(memfd(1000, 0), 1000, false, false);
	assert_holdings(before);
}

static void
what_can_shrink_is_refused_when_asked(void **state)
{
	const char *reason = "region can be pulled away (peer-memory=sealed)";
	struct unit_holdings before = unit_holdings();

	(void)state;
	refused(memfd(PAGE, 0), PAGE, true, reason);
	refused(memfd(PAGE, F_SEAL_GROW | F_SEAL_SEAL), PAGE, true, reason);
	assert_holdings(before);
}

static void
larger_than_its_file_is_refused(void **state)
{
	const char *reason = "region is larger than its file";
	const uint64_t sizes[] = { 0, 4 * PAGE + 1, 5 * PAGE, UINT64_C(1) << 40,
		(uint64_t)INT64_MAX + 1, UINT64_MAX };
	struct unit_holdings before = unit_holdings();

	(void)state;
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		refused(memfd(4 * PAGE, F_SEAL_SHRINK), sizes[i], false, reason);
		refused(memfd(4 * PAGE, F_SEAL_SHRINK), sizes[i], true, reason);
	}
	refused(memfd(0, 0), PAGE, false, reason);
	refused(memfd(0, 0), 0, false, reason);
	assert_holdings(before);
}

static int
reopened(int fd, int flags)
{
	char path[64];
	int other;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	other = open(path, flags | O_CLOEXEC);
	assert_true(other >= 0);
	close(fd);
	return other;
}

static void
what_cannot_be_mapped_is_refused(void **state)
{
	struct unit_holdings before = unit_holdings();

	(void)state;
	refused(memfd(PAGE, F_SEAL_WRITE), PAGE, false, "region cannot be mapped");
	refused(memfd(PAGE, F_SEAL_FUTURE_WRITE), PAGE, false, "region cannot be mapped");
	refused(reopened(memfd(PAGE, 0), O_RDONLY), PAGE, false, "region cannot be mapped");
	refused(reopened(memfd(PAGE, 0), O_PATH), PAGE, false, "region file cannot be examined");
	assert_holdings(before);
}

/* A sparse file of terabytes costs its maker nothing, and must not cost us the address space. */
static void
no_more_is_mapped_than_can_be_reached(void **state)
{
	struct unit_holdings before = unit_holdings();
	struct mif_region region;
	const char *why = NULL;
	int fd = memfd(UINT64_C(1) << 47, 0);

	(void)state;
	assert_int_equal(mif_region_adopt(&region, fd, UINT64_C(1) << 47, false, &why), 0);
	assert_true(region.size == MIF_REGION_REACH);
	mif_region_release(&region);
	assert_holdings(before);
}

/* mlockall(MCL_FUTURE), as testpmd calls it: a sparse file of a peer must not become gigabytes. */
static int
take_in_a_locked_process(void)
{
	int fd = memfd(4096 * PAGE, F_SEAL_SHRINK), copy = dup(fd);
	struct mif_region region;
	const char *why = NULL;

	lock_all_memory();
	if (mif_region_adopt(&region, fd, 4096 * PAGE, true, &why) != 0)
		return 1;
	region.addr[0] = 1;
	return bytes_there(copy) == PAGE ? 44 : 3;
}

static void
taken_region_is_not_filled(void **state)
{
	(void)state;
	check_in_a_child(take_in_a_locked_process);
}

static void
what_is_no_file_is_refused(void **state)
{
	const char *reason = "region is not a file in memory";
	struct unit_holdings before = unit_holdings();
	int pipes[2];

	(void)state;
	refused(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), PAGE, false, reason);
	refused(open("/", O_RDONLY | O_CLOEXEC), PAGE, false, reason);
	refused(open("/dev/shm", O_RDONLY | O_CLOEXEC), PAGE, false, reason);
	refused(open("/dev/zero", O_RDWR | O_CLOEXEC), PAGE, false, reason);
	refused(open("/dev/null", O_RDWR | O_CLOEXEC), PAGE, false, reason);
	refused(eventfd(0, EFD_CLOEXEC), PAGE, false, reason);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	refused(pipes[0], PAGE, false, reason);
	refused(pipes[1], PAGE, false, reason);
	refused(-1, PAGE, false, "region file cannot be examined");
	refused(1000000, PAGE, false, "region file cannot be examined");
	assert_holdings(before);
}

/* A file without a name in that folder, or -1 when it cannot be or is in memory. */
static int
file_on_disk(const char *folder)
{
	struct statfs fs;
	int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		return -1;
	assert_int_equal(fstatfs(fd, &fs), 0);
	if (fs.f_type == TMPFS_MAGIC || ftruncate(fd, (off_t)PAGE) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static void
file_on_a_disk_is_refused(void **state)
{
	const char *reason = "region is not a file in memory";
	struct unit_holdings before = unit_holdings();
	char self[PATH_MAX] = "";
	int fd;

	(void)state;
	refused(open("/proc/self/status", O_RDONLY | O_CLOEXEC), PAGE, false, reason);
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		self[0] = '\0';
	fd = file_on_disk(dirname(self));
	if (fd < 0)
		fd = file_on_disk("/var/tmp");
	if (fd < 0)
		unit_skip("neither the build folder nor /var/tmp is on a disk");
	refused(fd, PAGE, false, reason);
	assert_holdings(before);
}

/* Such a file cannot be sealed. */
static void
file_in_tmpfs_is_taken_unless_sealed_is_asked(void **state)
{
	struct unit_holdings before = unit_holdings();

	(void)state;
	for (int sealed_only = 0; sealed_only <= 1; sealed_only++) {
		struct statfs fs;
		int fd = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

		if (fd < 0 || fstatfs(fd, &fs) != 0 || fs.f_type != TMPFS_MAGIC) {
			close(fd);
			unit_skip("/dev/shm is no tmpfs");
		}
		assert_int_equal(ftruncate(fd, (off_t)PAGE), 0);
		if (sealed_only == 0)
			taken(fd, PAGE, false, false);
		else
			refused(fd, PAGE, true, "region can be pulled away (peer-memory=sealed)");
	}
	assert_holdings(before);
}

/* A sealed file of that many huge pages, or -1; the pages are there when this returns. */
static int
huge_memfd(uint64_t pages)
{
	int fd = memfd_create("unit-huge",
			MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB | MEMFD_2MB);
	void *addr;

	if (fd < 0)
		return -1;
	if (ftruncate(fd, (off_t)(pages * HUGE_PAGE)) == 0) {
		addr = mmap(NULL, pages * HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (addr != MAP_FAILED) {
			munmap(addr, pages * HUGE_PAGE);
			assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
			return fd;
		}
	}
	close(fd);
	return -1;
}

/* Holes can be punched into huge pages, sealed or not. */
static void
huge_pages_are_never_sealed(void **state)
{
	struct unit_holdings before = unit_holdings();
	struct mif_region region;
	const char *why = NULL;
	int fd = huge_memfd(2);

	(void)state;
	if (fd < 0)
		unit_skip("no 2 free huge pages of 2 MiB (sysctl vm.nr_hugepages)");
	assert_int_equal(mif_region_adopt(&region, fd, 2 * HUGE_PAGE, false, &why), 0);
	assert_true(region.page_size == HUGE_PAGE);
	assert_false(region.sealed);
	mif_region_release(&region);
	assert_holdings(before);

	refused(huge_memfd(2), 2 * HUGE_PAGE, true,
			"region can be pulled away (peer-memory=sealed)");
	refused(huge_memfd(2), 2 * HUGE_PAGE + 1, false, "region is larger than its file");
	/* munmap() of a part of a huge page fails, and the mapping would stay. */
	refused(huge_memfd(2), HUGE_PAGE + PAGE, false,
			"region is not a whole number of its huge pages");
	taken(huge_memfd(2), HUGE_PAGE, false, false);
	assert_holdings(before);
}

/* A peer must not reserve for us what it does not pay for: this file has no page at all. */
static void
huge_pages_are_not_reserved(void **state)
{
	const uint64_t size = UINT64_C(64) << 30;
	struct unit_holdings before = unit_holdings();
	struct mif_region region;
	const char *why = NULL;
	int fd = memfd_create("unit-huge", MFD_CLOEXEC | MFD_HUGETLB | MEMFD_2MB);
	void *addr;

	(void)state;
	if (fd < 0)
		unit_skip("this kernel has no huge pages of 2 MiB");
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	addr = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (addr != MAP_FAILED) {
		munmap(addr, size);
		close(fd);
		unit_skip("there are 64 GiB of huge pages, which is more than this test can ask for");
	}
	assert_int_equal(mif_region_adopt(&region, fd, size, false, &why), 0);
	assert_true(region.size == MIF_REGION_REACH);
	mif_region_release(&region);
	assert_holdings(before);
}

static void
both_ends_see_one_memory(void **state)
{
	struct unit_holdings before = unit_holdings();
	struct mif_region ours, theirs;
	const char *why = NULL;

	(void)state;
	assert_int_equal(mif_region_create(&ours, 16 * PAGE, "unit"), 0);
	assert_int_equal(mif_region_adopt(&theirs, fcntl(ours.fd, F_DUPFD_CLOEXEC, 0), ours.size,
					 true, &why),
			0);
	memset(ours.addr, 0x3c, ours.size);
	assert_memory_equal(theirs.addr, ours.addr, ours.size);
	mif_region_release(&ours);
	assert_int_equal(theirs.addr[theirs.size - 1], 0x3c); /* it lives on without its maker */
	mif_region_release(&theirs);
	assert_holdings(before);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memfds_are_taken),
		cmocka_unit_test(part_of_a_file_is_taken),
		cmocka_unit_test(what_can_shrink_is_refused_when_asked),
		cmocka_unit_test(larger_than_its_file_is_refused),
		cmocka_unit_test(what_cannot_be_mapped_is_refused),
		cmocka_unit_test(no_more_is_mapped_than_can_be_reached),
		cmocka_unit_test(what_is_no_file_is_refused),
		cmocka_unit_test(taken_region_is_not_filled),
		cmocka_unit_test(file_on_a_disk_is_refused),
		cmocka_unit_test(file_in_tmpfs_is_taken_unless_sealed_is_asked),
		cmocka_unit_test(huge_pages_are_never_sealed),
		cmocka_unit_test(huge_pages_are_not_reserved),
		cmocka_unit_test(both_ends_see_one_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

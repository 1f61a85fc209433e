/* SPDX-License-Identifier: BSD-3-Clause */

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "region_check.h"
#include "unit.h"

void
assert_none(const struct mif_region *region)
{
	assert_int_equal(region->fd, -1);
	assert_null(region->addr);
	assert_int_equal(region->size, 0);
	assert_false(region->sealed);
}

uint64_t
bytes_there(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 ? (uint64_t)status.st_blocks * 512 : UINT64_MAX;
}

void
lock_all_memory(void)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };

	setrlimit(RLIMIT_MEMLOCK, &all);
	/* Sanitizers make nothing of the function. */
	if (syscall(SYS_mlockall, MCL_FUTURE) != 0)
		_exit(45);
}

void
check_in_a_child(int (*look)(void))
{
	int status = -1;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0)
		_exit(look());
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 45)
		unit_skip("this user may not lock memory");
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 44);
}

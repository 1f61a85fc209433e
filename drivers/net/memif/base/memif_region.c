/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "memif_discard.h"
#include "memif_region.h"

#ifndef MAP_FIXED_NOREPLACE /* Linux 4.17; older kernels take the address as a wish */
#define MAP_FIXED_NOREPLACE 0x100000
#endif

/* Where other processes have nothing: far above EAL's memory, far below programs, heaps and
 * libraries, which the kernel puts at random addresses of the upper third. 16 TiB in turns. */
#define SHARED_FIRST (UINT64_C(48) << 40)
#define SHARED_END (UINT64_C(64) << 40)
#define SHARED_ALIGN (UINT64_C(1) << 30) /* of the largest page */

/* Addresses and files belong to the process, not to a port. */
static bool shared;
static uint64_t next_address = SHARED_FIRST;
static atomic_uint files_kept; /* a link that parted is freed without the lock */

uint64_t
mif_region_page_size(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

void
mif_region_share(void)
{
	shared = true;
}

/* NULL is for any address. So is one that is taken, or that this machine does not have: then other
 * processes may not be able to follow. */
static void *
wanted_address(uint64_t size)
{
	uint64_t room = (size + SHARED_ALIGN - 1) & ~(SHARED_ALIGN - 1);
	uint64_t address = next_address;

	if (!shared)
		return NULL;
	if (room > SHARED_END - address)
		address = SHARED_FIRST;
	next_address = address + room;
	return (void *)(uintptr_t)address;
}

static int
map(struct mif_region *region, void *wanted, int access, int flags)
{
	void *addr = mmap(wanted, region->size, access, MAP_SHARED | flags, region->fd, 0);

	if (addr == MAP_FAILED)
		return -errno;
	region->addr = addr;
	return 0;
}

static int
allow_access(struct mif_region *region)
{
	return mprotect(region->addr, region->size, PROT_READ | PROT_WRITE) == 0 ? 0 : -errno;
}

/*
 * Pages are made by use: making all of them here would hold up the control thread. That is what a
 * process that has called mlockall(MCL_FUTURE) does in mmap(), if they can be accessed. Those that
 * are used are locked then.
 */
static int
map_own(struct mif_region *region)
{
	int ret = map(region, wanted_address(region->size), PROT_NONE, 0);

	return ret == 0 ? allow_access(region) : ret;
}

/*
 * A peer's file, of which nothing is to be made that nobody uses: neither a reservation of huge
 * pages nor, as above, all of its pages. It is no memory of this process, so it is not to be
 * locked, either.
 */
static int
map_of_peer(struct mif_region *region, void *wanted, int flags)
{
	int ret = map(region, wanted, PROT_NONE, MAP_NORESERVE | flags);

	if (ret != 0)
		return ret;
	munlock(region->addr, region->size);
	return allow_access(region);
}

int
mif_region_create(struct mif_region *region, uint64_t size, const char *name)
{
	int ret;

	*region = MIF_REGION_NONE;
	if (size == 0 || size > INT64_MAX || size % mif_region_page_size() != 0)
		return -EINVAL;
	region->size = size;
	region->page_size = mif_region_page_size();
	region->sealed = true;
	region->fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (region->fd < 0 || ftruncate(region->fd, (off_t)size) != 0 ||
			fcntl(region->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) !=
					0)
		ret = -errno;
	else
		ret = map_own(region);
	if (ret != 0)
		mif_region_release(region);
	return ret;
}

/*
 * Is it a file in memory? Only these have seals, and only these may be asked for more: a file
 * system of the peer's might never answer. Fills in page size and seals.
 */
static int
inspect(struct mif_region *region, uint64_t *file_size, const char **why)
{
	int seals = fcntl(region->fd, F_GET_SEALS);
	struct stat status;
	struct statfs fs;

	if (seals < 0 && errno != EBADF) {
		*why = "region is not a file in memory";
		return -EINVAL;
	}
	if (seals < 0 || fstat(region->fd, &status) != 0 || fstatfs(region->fd, &fs) != 0) {
		*why = "region file cannot be examined";
		return -errno;
	}
	if (fs.f_type != TMPFS_MAGIC && fs.f_type != HUGETLBFS_MAGIC) {
		*why = "region is not a file in memory";
		return -EINVAL;
	}
	*file_size = (uint64_t)status.st_size;
	region->page_size = (uint64_t)fs.f_bsize;
	/* Holes can be punched into huge pages in spite of the seal. */
	region->sealed = fs.f_type == TMPFS_MAGIC && (seals & F_SEAL_SHRINK) != 0;
	return 0;
}

void
mif_region_close(struct mif_region *region)
{
	if (region->kept)
		files_kept--;
	region->kept = false;
	if (region->fd >= 0)
		close(region->fd);
	region->fd = -1;
}

/* The mapping suffices, unless another process may want one. */
static void
keep_or_close(struct mif_region *region)
{
	struct rlimit limit;

	if (shared && getrlimit(RLIMIT_NOFILE, &limit) == 0 && files_kept < limit.rlim_cur / 4) {
		region->kept = true;
		files_kept++;
		return;
	}
	mif_region_close(region);
}

static int
examine(struct mif_region *region, uint64_t size, bool sealed_only, const char **why)
{
	uint64_t file_size = 0;
	int ret = inspect(region, &file_size, why);

	if (ret != 0)
		return ret;
	if (size == 0 || size > file_size) {
		*why = "region is larger than its file";
		return -EINVAL;
	}
	if (region->page_size > mif_region_page_size() && size % region->page_size != 0) {
		*why = "region is not a whole number of its huge pages";
		return -EINVAL;
	}
	if (sealed_only && !region->sealed) {
		*why = "region can be pulled away (peer-memory=sealed)";
		return -EPERM;
	}
	region->size = size < MIF_REGION_REACH ? size : MIF_REGION_REACH;
	ret = map_of_peer(region, wanted_address(region->size), 0);
	if (ret != 0) {
		*why = "region cannot be mapped";
		return ret;
	}
	keep_or_close(region);
	return 0;
}

int
mif_region_adopt(struct mif_region *region, int fd, uint64_t size, bool sealed_only,
		const char **why)
{
	int ret;

	*region = MIF_REGION_NONE;
	region->fd = fd;
	ret = examine(region, size, sealed_only, why);
	if (ret != 0) {
		mif_discard_fd(region->fd);
		region->fd = -1;
		mif_region_release(region);
	}
	return ret;
}

int
mif_region_follow(struct mif_region *region)
{
	void *wanted = region->addr;
	int ret;

	region->addr = NULL;
	ret = map_of_peer(region, wanted, MAP_FIXED_NOREPLACE);
	if (ret == 0 && region->addr != wanted)
		ret = -EEXIST;
	if (ret == 0)
		mif_region_close(region);
	else
		mif_region_release(region);
	return ret;
}

void
mif_region_release(struct mif_region *region)
{
	mif_region_close(region);
	if (region->addr != NULL)
		munmap(region->addr, region->size);
	*region = MIF_REGION_NONE;
}

/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memif_guard.h"
#include "memif_mirror.h"

static size_t
page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* At an address that is taken, the mapping there is replaced in one step: readers see either. */
static uint8_t *
map_empty(uint8_t *at)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | (at == NULL ? 0 : MAP_FIXED);

	return mmap(at, page_size(), PROT_READ | PROT_WRITE, flags, -1, 0);
}

int
mif_mirror_open(struct mif_mirror *mirror)
{
	uint8_t *page = map_empty(NULL);

	if (page == MAP_FAILED)
		return -errno;
	mirror->page = page;
	return 0;
}

int
mif_mirror_show(struct mif_mirror *mirror, const void *place)
{
	uintptr_t start = (uintptr_t)place & ~(uintptr_t)(page_size() - 1);
	const struct mif_guard guard = {
		.addr = mirror->page,
		.size = page_size(),
		.page_size = page_size(),
		.fault = &mirror->fault,
		.value = 1,
		.wake_fd = -1,
	};
	int ret;

	mif_mirror_hide(mirror);
	ret = mif_guard_add(&guard);
	if (ret != 0)
		return ret;
	__atomic_store_n(&mirror->shows, true, __ATOMIC_RELAXED);
	/* Of a shared mapping, an old size of 0 makes a second one. */
	if (mremap((void *)start, 0, page_size(), MREMAP_MAYMOVE | MREMAP_FIXED, mirror->page) !=
			MAP_FAILED)
		return 0;
	ret = -errno;
	mif_mirror_hide(mirror);
	return ret;
}

void
mif_mirror_hide(struct mif_mirror *mirror)
{
	if (!mirror->shows)
		return;
	__atomic_store_n(&mirror->shows, false, __ATOMIC_RELAXED);
	/* If it fails, for want of memory, it goes on showing the old page, which is no harm. */
	map_empty(mirror->page);
	mif_guard_remove(mirror->page);
}

void *
mif_mirror_at(const struct mif_mirror *mirror, const void *place)
{
	return mirror->page + ((uintptr_t)place & (page_size() - 1));
}

void
mif_mirror_close(struct mif_mirror *mirror)
{
	if (mirror->page == NULL)
		return;
	mif_mirror_hide(mirror);
	munmap(mirror->page, page_size());
	mirror->page = NULL;
}

/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Both ends of a connection are in this process, and each maps the shared regions for itself. The
 * sanitizer goes by addresses, so it would not see what one end does to the other's memory. Hence
 * the driver's calls end up here: a file that is mapped already is mapped at the same place again,
 * and goes when the last one has given it back.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "mappings.h"

#define MAPPINGS_MAX 256

/** A file that is mapped. */
struct mapping {
	dev_t dev;
	ino_t ino;
	void *addr; /**< NULL: the entry is free */
	size_t size;
	unsigned int users;
};

static struct mapping mappings[MAPPINGS_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static atomic_uint shared;

/* meson builds for 64-bit file offsets, whatever the machine: then this is what mmap() is. */
void *__real_mmap64(void *addr, size_t size, int prot, int flags, int fd, off_t offset);
int __real_munmap(void *addr, size_t size);
void *__wrap_mmap64(void *addr, size_t size, int prot, int flags, int fd, off_t offset);
int __wrap_munmap(void *addr, size_t size);

static struct mapping *
find_file(const struct stat *status, size_t size)
{
	struct mapping *spare = NULL;

	for (struct mapping *one = mappings; one < mappings + MAPPINGS_MAX; one++) {
		if (one->addr == NULL)
			spare = one;
		else if (one->dev == status->st_dev && one->ino == status->st_ino &&
				one->size == size)
			return one;
	}
	if (spare == NULL) {
		fprintf(stderr, "more than %d mappings: one is never given back\n", MAPPINGS_MAX);
		abort();
	}
	return spare;
}

static void *
map_once(const struct stat *status, size_t size, int prot, int flags, int fd)
{
	struct mapping *one = find_file(status, size);
	void *addr;

	atomic_fetch_add_explicit(&shared, one->addr != NULL, memory_order_relaxed);
	if (one->addr == NULL) {
		addr = __real_mmap64(NULL, size, prot, flags, fd, 0);
		if (addr == MAP_FAILED)
			return addr;
		*one = (struct mapping){ status->st_dev, status->st_ino, addr, size, 0 };
	}
	one->users++;
	return one->addr;
}

void *
__wrap_mmap64(void *addr, size_t size, int prot, int flags, int fd, off_t offset)
{
	struct stat status;
	void *place;

	if (addr != NULL || (flags & MAP_SHARED) == 0 || offset != 0 || fstat(fd, &status) != 0)
		return __real_mmap64(addr, size, prot, flags, fd, offset);
	pthread_mutex_lock(&lock);
	place = map_once(&status, size, prot, flags, fd);
	pthread_mutex_unlock(&lock);
	return place;
}

unsigned int
mappings_shared(void)
{
	return atomic_load_explicit(&shared, memory_order_relaxed);
}

/* Of a mapping as a whole, which is how the driver does it. */
int
__wrap_munmap(void *addr, size_t size)
{
	bool last = true;

	pthread_mutex_lock(&lock);
	for (struct mapping *one = mappings; one < mappings + MAPPINGS_MAX; one++) {
		if (one->addr != addr || one->size != size)
			continue;
		last = --one->users == 0;
		if (last)
			one->addr = NULL;
		break;
	}
	pthread_mutex_unlock(&lock);
	return last ? __real_munmap(addr, size) : 0;
}

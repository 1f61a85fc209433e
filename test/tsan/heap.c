/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The driver's memory comes from the C library instead of EAL's heap. EAL is not instrumented, so
 * the thread sanitizer would neither see that memory is freed (a use after that would go unnoticed),
 * nor that the heap's lock orders a free before the next allocation of the same place; the address
 * sanitizer would take EAL's heap for one piece of memory.
 *
 * These definitions take the place of EAL's for the driver and for DPDK's libraries alike; what has
 * been had from EAL's heap in another way is given back to it.
 */

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <rte_common.h>
#include <rte_malloc.h>
#include <rte_memory.h>

void *
rte_malloc_socket(const char *type, size_t size, unsigned int align, int socket)
{
	size_t unit = RTE_MAX(align, (unsigned int)RTE_CACHE_LINE_SIZE);
	void *place = NULL;

	RTE_SET_USED(type);
	RTE_SET_USED(socket);
	/* Of just this size, so that ASan knows the first byte behind it. */
	if (size == 0 || posix_memalign(&place, unit, size) != 0)
		return NULL;
	return place;
}

void *
rte_zmalloc_socket(const char *type, size_t size, unsigned int align, int socket)
{
	void *place = rte_malloc_socket(type, size, align, socket);

	return place == NULL ? NULL : memset(place, 0, size);
}

void
rte_free(void *place)
{
	static void (*of_eal)(void *);

	if (place == NULL)
		return;
	if (rte_mem_virt2memseg_list(place) == NULL) {
		free(place);
		return;
	}
	if (of_eal == NULL)
		of_eal = (void (*)(void *))dlsym(RTLD_NEXT, "rte_free");
	of_eal(place);
}

/* As with --no-huge, where addresses are what a device is told; only EAL's heap knows others. */
rte_iova_t
rte_malloc_virt2iova(const void *place)
{
	static rte_iova_t (*of_eal)(const void *);

	if (rte_mem_virt2memseg_list(place) == NULL)
		return (rte_iova_t)(uintptr_t)place;
	if (of_eal == NULL)
		of_eal = (rte_iova_t(*)(const void *))dlsym(RTLD_NEXT, "rte_malloc_virt2iova");
	return of_eal(place);
}

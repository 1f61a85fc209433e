/* SPDX-License-Identifier: BSD-3-Clause */

#include <dlfcn.h>
#include <sched.h>
#include <unistd.h>
#include <rte_eal.h>
#include <rte_log.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_memory.h>
#include <sanitizer/asan_interface.h>
#include <sanitizer/lsan_interface.h>

#include "eal.h"
#include "fuzz.h"

/* EAL would pin every target to the first core. */
static void
floating_lcore(char *text, size_t size)
{
	cpu_set_t cpus;
	int length = snprintf(text, size, "--lcores=0@(");

	FUZZ_CHECK(sched_getaffinity(0, sizeof(cpus), &cpus) == 0, "no affinity");
	for (int cpu = 0; cpu < CPU_SETSIZE && length < (int)size - 8; cpu++) {
		if (CPU_ISSET(cpu, &cpus))
			length += snprintf(text + length, size - (size_t)length, "%d,", cpu);
	}
	text[length - 1] = ')';
}

void
fuzz_eal_silence(void)
{
	FILE *nowhere = fopen("/dev/null", "w");

	FUZZ_CHECK(nowhere != NULL, "cannot open /dev/null");
	if (getenv("FUZZ_LOG") == NULL)
		rte_openlog_stream(nowhere);
}

/* Even with --no-shconf EAL makes a folder. */
static void
remove_folder(const char *prefix)
{
	char path[64];

	snprintf(path, sizeof(path), "/var/run/dpdk/%s", prefix);
	rmdir(path);
}

/* Pointers in DPDK's memory keep ours from being leaks. */
static int
add_root(const struct rte_memseg_list *list, const struct rte_memseg *first, size_t length,
		void *arg)
{
	(void)list;
	(void)arg;
	__lsan_register_root_region(first->addr, length);
	return 0;
}

void
fuzz_eal_init(void)
{
	char program[] = "fuzz", no_huge[] = "--no-huge", memory[] = "-m64", no_pci[] = "--no-pci";
	char no_conf[] = "--no-shconf", no_telemetry[] = "--no-telemetry",
	     level[] = "--log-level=4";
	char lcores[1024], prefix[64];
	char *args[] = { program, lcores, no_huge, memory, no_pci, no_conf, no_telemetry, prefix,
		level };

	floating_lcore(lcores, sizeof(lcores));
	snprintf(prefix, sizeof(prefix), "--file-prefix=fuzz%d", getpid());
	FUZZ_CHECK(rte_eal_init(COUNT_OF(args), args) >= 0, "EAL does not start");
	rte_memseg_contig_walk(add_root, NULL);
	remove_folder(strchr(prefix, '=') + 1);
}

/* Called by the driver in place of DPDK's functions; see meson.build. */
void *__wrap_rte_malloc_socket(const char *type, size_t size, unsigned int align, int socket);
void *__wrap_rte_zmalloc(const char *type, size_t size, unsigned int align);
void *__wrap_rte_zmalloc_socket(const char *type, size_t size, unsigned int align, int socket);

void *
__wrap_rte_malloc_socket(const char *type, size_t size, unsigned int align, int socket)
{
	void *memory;

	(void)type;
	(void)socket;
	if (posix_memalign(&memory, RTE_MAX(align, sizeof(void *)), size) != 0)
		return NULL;
	return memory;
}

void *
__wrap_rte_zmalloc_socket(const char *type, size_t size, unsigned int align, int socket)
{
	void *memory = __wrap_rte_malloc_socket(type, size, align, socket);

	if (memory != NULL)
		memset(memory, 0, size);
	return memory;
}

void *
__wrap_rte_zmalloc(const char *type, size_t size, unsigned int align)
{
	return __wrap_rte_zmalloc_socket(type, size, align, SOCKET_ID_ANY);
}

/* Also called by DPDK's libraries, which free a port's private data. */
void
rte_free(void *memory)
{
	static void (*dpdk_free)(void *memory);

	if (dpdk_free == NULL)
		dpdk_free = (void (*)(void *))dlsym(RTLD_NEXT, "rte_free");
	if (rte_mem_virt2memseg_list(memory) != NULL)
		dpdk_free(memory);
	else
		free(memory);
}

static void
poison_around(struct rte_mempool *pool, void *arg, void *object, unsigned int index)
{
	struct rte_mempool_objhdr *header = rte_mempool_get_header(object);
	char *end = (char *)object + pool->elt_size;

	(void)arg;
	(void)index;
	ASAN_POISON_MEMORY_REGION((char *)object - pool->header_size, pool->header_size);
	/* DPDK reads it for an mbuf that has pointed elsewhere. */
	ASAN_UNPOISON_MEMORY_REGION(&header->iova, sizeof(header->iova));
	ASAN_POISON_MEMORY_REGION(end, pool->trailer_size);
}

struct rte_mempool *
fuzz_pool(const char *name, unsigned int count, uint16_t room)
{
	struct rte_mempool *pool = rte_pktmbuf_pool_create(name, count, 0, 0,
			(uint16_t)(RTE_PKTMBUF_HEADROOM + room), SOCKET_ID_ANY);

	FUZZ_CHECK(pool != NULL, "no memory for pool %s", name);
	rte_mempool_obj_iter(pool, poison_around, NULL);
	return pool;
}

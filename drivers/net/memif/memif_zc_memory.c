/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <ethdev_driver.h>
#include <rte_eal_memconfig.h>
#include <rte_errno.h>
#include <rte_malloc.h>
#include <rte_memory.h>
#include <rte_mempool.h>

#include "memif_ctrl.h"
#include "memif_log.h"
#include "memif_port.h"
#include "memif_queue.h"
#include "memif_zc_memory.h"

/* A descriptor's offset has 32 bits. */
#define REACH (UINT64_C(1) << 32)

/* Bytes of the largest map: regions that lie further apart are left out. */
#define CELLS_MAX (UINT64_C(1) << 22)

/* Where EAL keeps a piece of memory. */
struct place {
	int fd;		/* EAL's */
	uintptr_t base; /* the address of the file's first byte */
	uintptr_t end;	/* of the page */
	uint64_t page_size;
};

/*
 * Looked at when EAL frees memory, on any thread and with EAL's lock held: whoever holds this lock
 * must not allocate from EAL. The lock of noted pools may be taken inside.
 */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static TAILQ_HEAD(, mif_zc_memory) exposed = TAILQ_HEAD_INITIALIZER(exposed);

static bool
locate(uintptr_t addr, struct place *place)
{
	const struct rte_memseg *seg = rte_mem_virt2memseg((void *)addr, NULL);
	size_t offset;

	if (seg == NULL || seg->len == 0)
		return false;
	place->fd = rte_memseg_get_fd_thread_unsafe(seg);
	if (place->fd < 0 || rte_memseg_get_fd_offset_thread_unsafe(seg, &offset) < 0)
		return false;
	place->base = (uintptr_t)seg->addr - offset;
	place->end = (uintptr_t)seg->addr + seg->len;
	place->page_size = seg->hugepage_sz;
	return true;
}

/* The region of a file that begins at that address; NULL when there is room for no other one. */
static struct mif_region *
region_of(struct mif_zc_memory *memory, const struct mif_zc_regions *to, const struct place *place,
		struct mif_span **span)
{
	struct mif_region *region;
	uint32_t end = (uint32_t)to->first + memory->count;

	for (uint32_t i = to->first; i < end; i++) {
		*span = &to->spans[i];
		if ((uintptr_t)(*span)->base == place->base)
			return &to->regions[i];
	}
	if (end >= to->max)
		return NULL;
	region = &to->regions[end];
	/* EAL may close its own while ours is on the way to the server. */
	region->fd = fcntl(place->fd, F_DUPFD_CLOEXEC, 0);
	if (region->fd < 0)
		return NULL;
	region->page_size = place->page_size;
	memory->page_size = RTE_MAX(memory->page_size, place->page_size);
	*span = &to->spans[end];
	(*span)->base = (uint8_t *)place->base;
	memory->count++;
	return region;
}

/* Make a region of the file, or let the one there is reach further. */
static bool
add_file(struct mif_zc_memory *memory, const struct mif_zc_regions *to, const struct place *place)
{
	uint64_t size = RTE_MIN((uint64_t)(place->end - place->base), REACH);
	struct mif_region *region;
	struct mif_span *span;

	if (place->end - place->page_size - place->base >= REACH)
		return false;
	region = region_of(memory, to, place, &span);
	if (region == NULL)
		return false;
	if (size > span->size) {
		memory->bytes += size - span->size;
		span->size = size;
		region->size = size;
	}
	return true;
}

/* A chunk lies in one file, or in a file for each of its pages. EAL's lock is held for reading. */
static void
add_files(struct mif_zc_memory *memory, const struct mif_zc_regions *to,
		const struct mif_zc_chunk *chunk)
{
	uintptr_t end = chunk->addr + chunk->length;
	struct place place, last;
	uintptr_t next;
	bool there;

	if (!locate(chunk->addr, &place) || !locate(end - 1, &last)) {
		memory->left_out += chunk->length;
		return;
	}
	if (place.base == last.base && add_file(memory, to, &last))
		return;
	for (uintptr_t at = chunk->addr; at < end; at = next) {
		there = locate(at, &place);
		next = there ? RTE_MIN(place.end, end) : end;
		if (!there || !add_file(memory, to, &place))
			memory->left_out += next - at;
	}
}

static void
add_all_files(struct mif_zc_memory *memory, const struct mif_zc_regions *to)
{
	rte_mcfg_mem_read_lock();
	for (uint32_t i = 0; i < memory->chunks.count; i++)
		add_files(memory, to, &memory->chunks.list[i]);
	rte_mcfg_mem_read_unlock();
}

/* The largest cells that no two regions share: all start and end on a multiple of them. */
static uint64_t
measure(const struct mif_zc_memory *memory, struct mif_zc_map *map)
{
	const struct mif_span *span = &memory->spans[memory->first];
	uintptr_t highest = 0;
	uint64_t bits = 0;

	*map = (struct mif_zc_map){ .lowest = UINTPTR_MAX };
	for (uint16_t i = 0; i < memory->count; i++) {
		map->lowest = RTE_MIN(map->lowest, (uintptr_t)span[i].base);
		highest = RTE_MAX(highest, (uintptr_t)span[i].base + span[i].size);
	}
	for (uint16_t i = 0; i < memory->count; i++)
		bits |= ((uintptr_t)span[i].base - map->lowest) | span[i].size;
	map->shift = (uint32_t)__builtin_ctzll(bits);
	return (highest - map->lowest) >> map->shift;
}

static void
fill_cells(struct mif_zc_map *map, const struct mif_span *span, uint8_t region)
{
	uint64_t first = ((uintptr_t)span->base - map->lowest) >> map->shift;
	uint64_t count = span->size >> map->shift;

	for (uint64_t i = first; i < first + count; i++)
		__atomic_store_n(&map->region[i], region, __ATOMIC_RELAXED);
}

static void
give_up_last(struct mif_zc_memory *memory, const struct mif_zc_regions *to)
{
	uint32_t last = memory->first + --memory->count;

	memory->bytes -= to->spans[last].size;
	memory->left_out += to->spans[last].size;
	mif_region_release(&to->regions[last]);
	to->spans[last] = (struct mif_span){ 0 };
}

static int
make_map(struct mif_zc_memory *memory, const struct mif_zc_regions *to)
{
	struct mif_zc_map map = { 0 };
	uint64_t cells = 0;

	while (memory->count != 0 && (cells = measure(memory, &map)) > CELLS_MAX)
		give_up_last(memory, to);
	map.cells = memory->count == 0 ? 0 : (uint32_t)cells;
	memory->map = rte_zmalloc("memif map", sizeof(map) + map.cells + 1, RTE_CACHE_LINE_SIZE);
	if (memory->map == NULL)
		return -ENOMEM;
	memcpy(memory->map, &map, sizeof(map));
	pthread_mutex_lock(&lock);
	for (uint16_t i = 0; i < memory->count && !memory->freed; i++)
		fill_cells(memory->map, &to->spans[memory->first + i],
				(uint8_t)(memory->first + i));
	pthread_mutex_unlock(&lock);
	return 0;
}

static void
add_other_pools(struct mif_zc_chunks *chunks, const struct rte_eth_dev *dev)
{
	const struct mif_port *port;

	TAILQ_FOREACH(port, mif_ctrl_ports(), next) {
		if (port->started && port->dev != dev)
			mif_zc_pools_add_of(chunks, port->dev);
	}
}

struct mif_zc_memory *
mif_zc_memory_create(const struct rte_eth_dev *dev, const struct mif_zc_regions *to)
{
	struct mif_zc_memory *memory = calloc(1, sizeof(*memory));

	if (memory == NULL)
		return NULL;
	memory->spans = to->spans;
	memory->first = to->first;
	mif_zc_pools_add_of(&memory->chunks, dev);
	add_other_pools(&memory->chunks, dev);
	pthread_mutex_lock(&lock);
	mif_zc_pools_add_noted(&memory->chunks);
	/* Before its files are looked at: what EAL frees from here on is noticed. */
	TAILQ_INSERT_TAIL(&exposed, memory, next);
	pthread_mutex_unlock(&lock);
	add_all_files(memory, to);
	if (make_map(memory, to) == 0 && !memory->chunks.failed)
		return memory;
	mif_zc_memory_free(memory);
	return NULL;
}

void
mif_zc_memory_free(struct mif_zc_memory *memory)
{
	if (memory == NULL)
		return;
	pthread_mutex_lock(&lock);
	TAILQ_REMOVE(&exposed, memory, next);
	pthread_mutex_unlock(&lock);
	rte_free(memory->map);
	free(memory->chunks.list);
	free(memory);
}

void
mif_zc_memory_log(const struct mif_zc_memory *memory, const char *port)
{
	MIF_LOG(NOTICE, port,
			"exposed to the server: %u files of %" PRIu64
			" MB in all, pages of %" PRIu64 " KB; to be copied: %" PRIu64
			" KB of pools",
			memory->count, memory->bytes >> 20, memory->page_size >> 10,
			memory->left_out >> 10);
}

/*
 * Memory of a pool is going away. Its file may be another one when EAL uses the addresses again, so
 * from here on what lies there is copied.
 */
static void
forget(struct mif_zc_memory *memory, uintptr_t addr, size_t length)
{
	const struct mif_span *span;
	struct mif_zc_chunk file;

	memory->freed = true;
	for (uint16_t i = 0; memory->map != NULL && i < memory->count; i++) {
		span = &memory->spans[memory->first + i];
		file = (struct mif_zc_chunk){ (uintptr_t)span->base, span->size };
		if (mif_zc_chunk_overlaps(&file, addr, length))
			fill_cells(memory->map, span, 0);
	}
}

static void
on_memory_event(enum rte_mem_event event, const void *addr, size_t length, void *arg)
{
	struct mif_zc_memory *memory;

	RTE_SET_USED(arg);
	if (event != RTE_MEM_EVENT_FREE)
		return;
	pthread_mutex_lock(&lock);
	mif_zc_pools_forget((uintptr_t)addr, length);
	TAILQ_FOREACH(memory, &exposed, next) {
		for (uint32_t i = 0; i < memory->chunks.count; i++) {
			if (mif_zc_chunk_overlaps(&memory->chunks.list[i], (uintptr_t)addr,
					    length)) {
				forget(memory, (uintptr_t)addr, length);
				break;
			}
		}
	}
	pthread_mutex_unlock(&lock);
}

static void
check_file(struct rte_mempool *pool, void *missing, struct rte_mempool_memhdr *header,
		unsigned int index)
{
	struct place place;

	RTE_SET_USED(pool);
	RTE_SET_USED(index);
	if (!locate((uintptr_t)header->addr, &place))
		*(bool *)missing = true;
}

/* It works all the same, but hardly as the user expects. */
static void
warn_without_files(const struct rte_eth_dev *dev)
{
	const struct mif_queue *queue;
	bool missing = false;

	for (uint16_t i = 0; i < dev->data->nb_rx_queues && !missing; i++) {
		queue = dev->data->rx_queues[i];
		rte_mcfg_mem_read_lock();
		rte_mempool_mem_iter(queue->pool, check_file, &missing);
		rte_mcfg_mem_read_unlock();
		if (missing)
			MIF_LOG(ERR, dev->data->name,
					"zero-copy=yes without effect: EAL has no file for the memory of "
					"pool %s, its packets are copied; with --in-memory it has one",
					queue->pool->name);
	}
}

static int
watch_memory(const char *port)
{
	/* In legacy mode EAL frees nothing. */
	if (rte_mem_event_callback_register("memif zero-copy", on_memory_event, NULL) == 0 ||
			rte_errno == EEXIST || rte_errno == ENOTSUP)
		return 0;
	MIF_LOG(ERR, port, "changes of EAL's memory cannot be watched: %s",
			rte_strerror(rte_errno));
	return -ENOMEM;
}

int
mif_zc_memory_watch(const struct rte_eth_dev *dev)
{
	int ret = watch_memory(dev->data->name);

	if (ret == 0)
		ret = mif_zc_pools_watch(dev->data->name);
	if (ret != 0)
		return ret;
	warn_without_files(dev);
	mif_zc_pools_note();
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <ethdev_driver.h>
#include <rte_errno.h>
#include <rte_mempool.h>

#include "memif_log.h"
#include "memif_queue.h"
#include "memif_zc_pools.h"

/*
 * Looked at when EAL frees memory, on any thread and with EAL's lock held: whoever holds this lock
 * must not allocate from EAL.
 */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct mif_zc_chunks noted;
static uint32_t pools_freed; /* so many, since the first zero-copy client was started */

static void
add_chunk(struct mif_zc_chunks *chunks, struct mif_zc_chunk chunk)
{
	uint32_t room = chunks->room == 0 ? 64 : 2 * chunks->room;
	struct mif_zc_chunk *list;

	for (uint32_t i = 0; i < chunks->count; i++) {
		if (chunks->list[i].addr == chunk.addr && chunks->list[i].length == chunk.length)
			return;
	}
	if (chunks->count == chunks->room) {
		list = realloc(chunks->list, room * sizeof(*list));
		if (list == NULL) {
			chunks->failed = true;
			return;
		}
		chunks->list = list;
		chunks->room = room;
	}
	chunks->list[chunks->count++] = chunk;
}

static void
add_pool_chunk(struct rte_mempool *pool, void *chunks, struct rte_mempool_memhdr *header,
		unsigned int index)
{
	struct mif_zc_chunk chunk = { (uintptr_t)header->addr, header->len };

	RTE_SET_USED(pool);
	RTE_SET_USED(index);
	add_chunk(chunks, chunk);
}

void
mif_zc_pools_add_of(struct mif_zc_chunks *chunks, const struct rte_eth_dev *dev)
{
	const struct mif_queue *queue;

	for (uint16_t i = 0; i < dev->data->nb_rx_queues; i++) {
		queue = dev->data->rx_queues[i];
		if (queue != NULL)
			rte_mempool_mem_iter(queue->pool, add_pool_chunk, chunks);
	}
}

void
mif_zc_pools_add_noted(struct mif_zc_chunks *chunks)
{
	pthread_mutex_lock(&lock);
	for (uint32_t i = 0; i < noted.count; i++)
		add_chunk(chunks, noted.list[i]);
	pthread_mutex_unlock(&lock);
}

void
mif_zc_pools_forget(uintptr_t addr, size_t length)
{
	pthread_mutex_lock(&lock);
	for (uint32_t i = noted.count; i-- > 0;) {
		if (mif_zc_chunk_overlaps(&noted.list[i], addr, length))
			noted.list[i] = noted.list[--noted.count];
	}
	pthread_mutex_unlock(&lock);
}

static void
drop_noted(struct rte_mempool *pool, void *arg, struct rte_mempool_memhdr *header,
		unsigned int index)
{
	RTE_SET_USED(pool);
	RTE_SET_USED(arg);
	RTE_SET_USED(index);
	for (uint32_t i = noted.count; i-- > 0;) {
		if (noted.list[i].addr == (uintptr_t)header->addr)
			noted.list[i] = noted.list[--noted.count];
	}
}

/* Its memory may stay with EAL's heap, and hold anything: no later connection is to expose it. */
static void
on_pool_event(enum rte_mempool_event event, struct rte_mempool *pool, void *arg)
{
	RTE_SET_USED(arg);
	if (event != RTE_MEMPOOL_EVENT_DESTROY)
		return;
	pthread_mutex_lock(&lock);
	__atomic_store_n(&pools_freed, pools_freed + 1, __ATOMIC_RELEASE);
	rte_mempool_mem_iter(pool, drop_noted, NULL);
	pthread_mutex_unlock(&lock);
}

int
mif_zc_pools_watch(const char *port)
{
	if (rte_mempool_event_callback_register(on_pool_event, NULL) == 0 || rte_errno == EEXIST)
		return 0;
	MIF_LOG(ERR, port, "the end of pools cannot be watched: %s", rte_strerror(rte_errno));
	return -ENOMEM;
}

/* A pool to look for among those that there are, and what gets its chunks. */
struct wanted {
	const struct rte_mempool *pool;
	struct mif_zc_chunks *chunks;
};

static void
add_if_wanted(struct rte_mempool *pool, void *arg)
{
	const struct wanted *wanted = arg;

	if (pool == wanted->pool)
		rte_mempool_mem_iter(pool, add_pool_chunk, wanted->chunks);
}

/*
 * The pools of a port of any driver that says what they are. A stopped port's may have been freed.
 */
static void
add_pools_of(struct mif_zc_chunks *chunks, uint16_t port_id)
{
	const struct rte_eth_dev_data *data = rte_eth_devices[port_id].data;
	struct wanted wanted = { .chunks = chunks };
	struct rte_eth_rxq_info info;

	/* Drivers may say how many queues they have before those are configured. */
	for (uint16_t i = 0; data->rx_queues != NULL && i < data->nb_rx_queues; i++) {
		if (data->rx_queues[i] == NULL)
			continue;
		info.mp = NULL;
		if (rte_eth_rx_queue_info_get(port_id, i, &info) != 0 || info.mp == NULL)
			continue;
		wanted.pool = info.mp;
		rte_mempool_walk(add_if_wanted, &wanted);
	}
}

/* False if a pool has been freed meanwhile, by another thread. */
static bool
note_once(void)
{
	uint32_t before = __atomic_load_n(&pools_freed, __ATOMIC_ACQUIRE);
	struct mif_zc_chunks chunks = { 0 };
	bool same;
	uint16_t id;

	for (id = rte_eth_find_next(0); id < RTE_MAX_ETHPORTS; id = rte_eth_find_next(id + 1))
		add_pools_of(&chunks, id);
	pthread_mutex_lock(&lock);
	same = pools_freed == before;
	free(same ? noted.list : chunks.list);
	if (same)
		noted = chunks;
	pthread_mutex_unlock(&lock);
	return same;
}

void
mif_zc_pools_note(void)
{
	while (!note_once())
		;
}

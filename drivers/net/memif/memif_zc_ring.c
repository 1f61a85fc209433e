/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <rte_malloc.h>

#include "memif_tx.h"
#include "memif_zc_ring.h"

int
mif_zc_ring_make(struct mif_ring_end *end, const struct mif_zc_map *map, int socket)
{
	size_t bytes = sizeof(struct mif_zc_ring) +
			end->size * (sizeof(struct rte_mbuf *) + sizeof(struct rte_mempool *));
	struct mif_zc_ring *zc = rte_zmalloc_socket("memif mbufs", bytes, RTE_CACHE_LINE_SIZE,
			socket);

	if (zc == NULL)
		return -ENOMEM;
	zc->map = map;
	zc->mbufs = RTE_PTR_ADD(zc, sizeof(*zc));
	zc->pools = RTE_PTR_ADD(zc->mbufs, end->size * sizeof(zc->mbufs[0]));
	end->zc = zc;
	return 0;
}

void
mif_zc_ring_free(struct mif_ring_end *end, enum mif_dir dir)
{
	struct mif_zc_ring *zc = end->zc;

	if (zc == NULL)
		return;
	if (dir == MIF_C2S)
		mif_zc_reclaim(end, mif_ring_span(end->limit, end->cursor));
	/* A process may have been killed while it made a chain of some. */
	for (; dir == MIF_S2C && end->cursor != zc->head; end->cursor++)
		mif_zc_give_back(zc->mbufs[end->cursor & end->mask]);
	rte_free(zc);
	end->zc = NULL;
}

void
mif_zc_ring_start(struct mif_queue *queue, struct mif_ring_end *end, enum mif_mode mode)
{
	struct mif_zc_ring *zc = end->zc;

	zc->room = queue->room - mif_l2_added(mode);
	zc->copied_room = RTE_MIN(end->buffer_size, zc->room);
	if (!mif_zc_post(queue, end, mode))
		mif_count(&queue->counters.no_mbuf, 1);
	mif_ring_publish(end->own_index, zc->head);
}

/* Of the slots from limit on, those before one in which one more packet begins. */
static uint32_t
slots_of_packets(const struct mif_ring_end *end, uint32_t slots, uint32_t *packets)
{
	const struct mif_zc_ring *zc = end->zc;
	uint32_t most = *packets;
	uint32_t slot, i;

	*packets = 0;
	for (i = 0; i < slots; i++) {
		slot = (end->limit + i) & end->mask;
		if (zc->pools[slot] == NULL || mif_zc_is_further(zc->mbufs[slot]))
			continue;
		if (*packets == most)
			break;
		++*packets;
	}
	return i;
}

int
mif_zc_done_cleanup(struct mif_queue *queue, uint32_t count)
{
	struct mif_ring_end *end = mif_gate_enter(&queue->gate);
	uint32_t packets = count == 0 ? UINT32_MAX : count;
	uint32_t done = 0;

	if (end == NULL || end->zc == NULL) {
		mif_gate_leave(&queue->gate);
		return 0;
	}
	if (!end->shared || mif_queue_take_ring(end))
		done = mif_zc_done(queue, end);
	mif_zc_reclaim(end, slots_of_packets(end, done, &packets));
	if (end->shared)
		mif_lock_give(&end->lock);
	mif_gate_leave(&queue->gate);
	return (int)packets;
}

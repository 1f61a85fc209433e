/* SPDX-License-Identifier: BSD-3-Clause */

#include <assert.h>
#include <string.h>
#include <unistd.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>

#include "memif_ctrl.h"
#include "memif_queue.h"

struct mif_queue *
mif_queue_create(uint16_t id, int socket)
{
	struct mif_queue *queue = rte_zmalloc_socket("memif queue", sizeof(*queue),
			RTE_CACHE_LINE_SIZE, socket);

	if (queue == NULL)
		return NULL;
	mif_gate_init(&queue->gate);
	mif_gate_init(&queue->side);
	rte_spinlock_init(&queue->side_lock);
	mif_wait_init(&queue->wait);
	queue->id = id;
	queue->holders = 1;
	return queue;
}

void
mif_queue_hold(struct mif_queue *queue)
{
	queue->holders++;
}

void
mif_queue_drop(struct mif_queue *queue)
{
	if (--queue->holders != 0)
		return;
	mif_wait_close(&queue->wait);
	mif_mirror_close(&queue->mirror);
	rte_free(queue->offload);
	rte_free(queue);
}

void
mif_queue_open(struct mif_queue *queue, struct mif_ring_end *ends)
{
	if (queue->mirror.page != NULL)
		mif_mirror_show(&queue->mirror, ends->peer_index);
	mif_gate_open(&queue->side, ends);
	mif_gate_open(&queue->gate, ends);
}

struct mif_ring_end *
mif_queue_enter_side(struct mif_queue *queue)
{
	rte_spinlock_lock(&queue->side_lock);
	return mif_gate_enter(&queue->side);
}

void
mif_queue_leave_side(struct mif_queue *queue)
{
	mif_gate_leave(&queue->side);
	rte_spinlock_unlock(&queue->side_lock);
}

void
mif_queue_shut(struct mif_queue *queue)
{
	struct mif_ring_end *ends = mif_gate_close(&queue->gate);

	mif_gate_close(&queue->side);
	mif_wait_detach(&queue->wait, ends);
	mif_mirror_hide(&queue->mirror);
}

bool
mif_queue_idle(struct mif_queue *queue)
{
	return mif_gate_idle(&queue->gate) && mif_gate_idle(&queue->side);
}

void
mif_queue_set_pool(struct mif_queue *queue, struct rte_mempool *pool, uint16_t port_id,
		bool scatter)
{
	bool pinned = (rte_pktmbuf_priv_flags(pool) & RTE_PKTMBUF_POOL_F_PINNED_EXT_BUF) != 0;
	struct rte_mbuf fresh = {
		.data_off = RTE_PKTMBUF_HEADROOM,
		.nb_segs = 1,
		.port = port_id,
		.ol_flags = pinned ? RTE_MBUF_F_EXTERNAL : 0,
	};
	static_assert(offsetof(struct rte_mbuf, ol_flags) ==
					offsetof(struct rte_mbuf, rearm_data) + sizeof(uint64_t),
			"ol_flags are set together with the rearm data");
	rte_mbuf_refcnt_set(&fresh, 1);
	memcpy(queue->rearm, RTE_PTR_ADD(&fresh, offsetof(struct rte_mbuf, rearm_data)),
			sizeof(queue->rearm));
	queue->pool = pool;
	queue->room = (uint32_t)rte_pktmbuf_data_room_size(pool) - RTE_PKTMBUF_HEADROOM;
	queue->scatter = scatter;
}

static void
wake_control(const struct mif_shared *common)
{
	const uint64_t one = 1;

	/* Full means that it is about to wake up. */
	if (write(common->kick_fd, &one, sizeof(one)) < 0)
		return;
}

void
mif_queue_fault(struct mif_shared *common, enum mif_fault fault)
{
	uint32_t none = MIF_FAULT_NONE;

	if (__atomic_compare_exchange_n(&common->fault, &none, (uint32_t)fault, false,
			    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		wake_control(common);
}

void
mif_queue_bad_desc(struct mif_queue *queue, struct mif_shared *common)
{
	mif_count(&queue->counters.bad_desc, 1);
	if (__atomic_add_fetch(&common->bad_descs, 1, __ATOMIC_RELAXED) > MIF_BAD_DESCS_MAX)
		mif_queue_fault(common, MIF_FAULT_DESCRIPTOR);
}

const char *
mif_fault_text(enum mif_fault fault)
{
	switch (fault) {
	case MIF_FAULT_INDEX:
		return "impossible ring index";
	case MIF_FAULT_DESCRIPTOR:
		return "too many bad descriptors";
	case MIF_FAULT_CHAIN:
		return "chain longer than its ring";
	case MIF_FAULT_MEMORY:
		return "a region was cut short, or has holes";
	default:
		return "no fault";
	}
}

/* SPDX-License-Identifier: BSD-3-Clause */

#include <assert.h>
#include <string.h>
#include <unistd.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>

#include "memif_ctrl.h"
#include "memif_notify.h"
#include "memif_process.h"
#include "memif_queue.h"
#include "memif_secondary.h"

/* mif_rx_init_mbuf() sets these fields together. */
enum {
	FIELDS = offsetof(struct rte_mbuf, packet_type)
};
static_assert(offsetof(struct rte_mbuf, pkt_len) == FIELDS + 4, "behind packet_type");
static_assert(offsetof(struct rte_mbuf, data_len) == FIELDS + 8, "behind pkt_len");
static_assert(offsetof(struct rte_mbuf, vlan_tci) == FIELDS + 10, "behind data_len");
static_assert(offsetof(struct rte_mbuf, hash.rss) == FIELDS + 12, "behind vlan_tci");

/* All queues, those too that their port has released. */
static TAILQ_HEAD(, mif_queue) queues = TAILQ_HEAD_INITIALIZER(queues);

struct mif_queue *
mif_queue_create(uint16_t id, int socket)
{
	struct mif_queue *queue = rte_zmalloc_socket("memif queue", sizeof(*queue),
			RTE_CACHE_LINE_SIZE, socket);

	if (queue == NULL)
		return NULL;
	mif_gate_init(&queue->gate);
	mif_gate_init(&queue->side);
	mif_wait_init(&queue->wait);
	queue->id = id;
	queue->holders = 1;
	mif_ctrl_lock();
	TAILQ_INSERT_TAIL(&queues, queue, next);
	mif_ctrl_unlock();
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
	TAILQ_REMOVE(&queues, queue, next);
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
	struct mif_ring_end *ends;

	mif_lock_take(&queue->side_lock, mif_process.number);
	ends = mif_gate_enter_as(&queue->side, mif_process.number,
			queue->side.fence || mif_process.fence);
	if (ends != NULL && mif_process.number != MIF_GATE_PRIMARY && !mif_process_maps(ends))
		return NULL;
	return ends;
}

void
mif_queue_leave_side(struct mif_queue *queue)
{
	mif_gate_leave(&queue->side);
	mif_lock_give(&queue->side_lock);
}

bool
mif_queue_heal(uint32_t process, bool *closed)
{
	const struct mif_ring_end *ends;
	struct mif_queue *queue;
	bool inside = false;

	TAILQ_FOREACH(queue, &queues, next) {
		mif_gate_heal(&queue->side, process);
		mif_lock_heal(&queue->side_lock, process);
		if (!mif_gate_heal(&queue->gate, process))
			continue;
		inside = true;
		ends = atomic_load_explicit(&queue->gate.behind, memory_order_relaxed);
		if (ends != NULL)
			mif_queue_fault(ends->common, MIF_FAULT_PROCESS);
		else
			*closed = true;
	}
	return inside;
}

bool
mif_queue_look_after(void)
{
	struct mif_queue *queue;
	bool again = false;

	/* No side gate: what is behind it is taken away under the lock only. */
	TAILQ_FOREACH(queue, &queues, next)
		again |= mif_wait_look_after(&queue->wait,
				atomic_load_explicit(&queue->side.behind, memory_order_relaxed));
	return again;
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

/* Secondaries change it, see memif_secondary.c. */
struct mif_process mif_process = { .number = MIF_GATE_PRIMARY };

static void
wake_control(const struct mif_shared *common)
{
	int fd = mif_process.number == MIF_GATE_PRIMARY ? common->kick_fd : mif_process.kick_fd;
	const uint64_t one = 1;

	/* Full means that it is about to wake up. */
	if (write(fd, &one, sizeof(one)) < 0)
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

bool
mif_queue_take_ring(struct mif_ring_end *end)
{
	mif_lock_take(&end->lock, mif_process.number);
	return __atomic_load_n(&end->common->fault, __ATOMIC_RELAXED) != MIF_FAULT_PROCESS;
}

/* Files have other numbers in a secondary process. */
int
mif_queue_wake(const struct mif_ring_end *end)
{
	if (mif_process.number == MIF_GATE_PRIMARY)
		return mif_notify(end->common->notifier, end->event_fd);
	return mif_secondary_wake(end);
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
	case MIF_FAULT_PROCESS:
		return "a secondary process ended inside a burst";
	default:
		return "no fault";
	}
}

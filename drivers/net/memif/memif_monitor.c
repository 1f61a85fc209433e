/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <ethdev_driver.h>
#include <rte_common.h>
#include <rte_power_intrinsics.h>

#include "memif_ctrl.h"
#include "memif_ethdev.h"
#include "memif_log.h"
#include "memif_mirror.h"
#include "memif_queue.h"

/* What the callback gets to know. */
enum {
	OPAQUE_CURSOR,
};

/* Sleep only as long as the peer's index stands where our cursor does: the ring is empty. */
static int
stay_awake(const uint64_t value, const uint64_t opaque[RTE_POWER_MONITOR_OPAQUE_SZ])
{
	return (uint16_t)value == (uint16_t)opaque[OPAQUE_CURSOR] ? 0 : -1;
}

/* The first time that somebody wants to monitor this queue. */
static int
open_mirror(struct mif_queue *queue)
{
	const struct mif_ring_end *end;
	struct mif_mirror mirror = { 0 };
	int ret;

	mif_ctrl_lock();
	ret = queue->mirror.page != NULL ? 0 : mif_mirror_open(&mirror);
	if (mirror.page != NULL) {
		end = atomic_load_explicit(&queue->side.behind, memory_order_relaxed);
		/* Others than the control thread look at the page's address only. */
		__atomic_store_n(&queue->mirror.page, mirror.page, __ATOMIC_RELEASE);
		if (end != NULL)
			mif_mirror_show(&queue->mirror, end->peer_index);
	}
	mif_ctrl_unlock();
	if (ret != 0)
		MIF_LOG(ERR, "net_memif", "no memory to monitor receive queue %u of port %u",
				queue->id, queue->port_id);
	return ret;
}

int
mif_get_monitor_addr(void *arg, struct rte_power_monitor_cond *cond)
{
	struct mif_queue *queue = arg;
	const struct mif_ring_end *end;
	int ret = 0;

	if (rte_eal_process_type() != RTE_PROC_PRIMARY)
		return -ENOTSUP;
	if (__atomic_load_n(&queue->mirror.page, __ATOMIC_ACQUIRE) == NULL)
		ret = open_mirror(queue);
	if (ret != 0)
		return ret;
	cond->size = sizeof(*end->peer_index);
	cond->fn = stay_awake;
	end = mif_queue_enter_side(queue);
	if (end == NULL) {
		/* Zero, until the page shows a ring again. */
		cond->addr = queue->mirror.page;
		cond->opaque[OPAQUE_CURSOR] = 0;
	} else if (end->next != NULL || !mif_mirror_shows(&queue->mirror)) {
		/* One address cannot speak for several rings. */
		ret = -EBUSY;
	} else {
		cond->addr = mif_mirror_at(&queue->mirror, end->peer_index);
		cond->opaque[OPAQUE_CURSOR] = __atomic_load_n(&end->cursor, __ATOMIC_RELAXED);
	}
	mif_queue_leave_side(queue);
	return ret;
}

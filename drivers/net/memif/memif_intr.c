/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <ethdev_driver.h>
#include <rte_cycles.h>
#include <rte_interrupts.h>
#include <rte_pause.h>

#include "memif_ctrl.h"
#include "memif_intr.h"
#include "memif_log.h"
#include "memif_queue.h"
#include "memif_ring.h"
#include "memif_zc_ring.h"
#include "memif_zc_server.h"

#define EVENTS_PER_LOOK 8
/*
 * What a store of the peer may take to be seen: some hundred nanoseconds are usual, but 2 us did
 * not suffice on a machine with far more threads than CPUs, whose caches are cold.
 */
#define SETTLE_US 10
/* So many looks of the control thread: the first one may come at once, as it looks after others
 * already, the last one a whole pause after that. */
#define LOOKS 2

void
mif_wait_init(struct mif_wait *wait)
{
	wait->epoll = -1;
	wait->kick = -1;
}

static int
watch(const struct mif_wait *wait, int fd)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.fd = fd };

	return epoll_ctl(wait->epoll, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

int
mif_wait_open(struct mif_wait *wait)
{
	int ret;

	wait->epoll = epoll_create1(EPOLL_CLOEXEC);
	wait->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ret = wait->epoll < 0 || wait->kick < 0 ? -errno : watch(wait, wait->kick);
	if (ret != 0)
		mif_wait_close(wait);
	return ret;
}

void
mif_wait_close(struct mif_wait *wait)
{
	if (wait->kick >= 0)
		close(wait->kick);
	if (wait->epoll >= 0)
		close(wait->epoll);
	wait->epoll = -1;
	wait->kick = -1;
}

static void
kick(const struct mif_wait *wait)
{
	const uint64_t one = 1;

	/* Full means that it has been kicked and not looked at: just as good. */
	if (write(wait->kick, &one, sizeof(one)) < 0)
		return;
}

/*
 * We are about to sleep: whatever may have been on its way, the control thread is going to see it.
 *
 * The count has two writers. If a new one comes in between a look and its subtraction, that is from
 * 1 to LOOKS, so it fails, or from LOOKS to LOOKS, and another look is left all the same.
 */
static void
ask_for_looks(struct mif_wait *wait)
{
	__atomic_store_n(&wait->looks, LOOKS, __ATOMIC_RELAXED);
	mif_ctrl_look_after();
}

/* Forget events so far, without reading a counter that the peer shares. */
static void
drain(const struct mif_wait *wait)
{
	struct epoll_event events[EVENTS_PER_LOOK];
	uint64_t count;

	if (read(wait->kick, &count, sizeof(count)) < 0)
		count = 0;
	epoll_wait(wait->epoll, events, EVENTS_PER_LOOK, 0);
}

static void
unmask(struct mif_ring_end *ends)
{
	for (struct mif_ring_end *end = ends; end != NULL; end = end->next)
		mif_ring_unmask(end->ring);
}

static bool
has_packets(const struct mif_ring_end *ends)
{
	const struct mif_ring_end *end;
	uint16_t cursor;

	for (end = ends; end != NULL; end = end->next) {
		cursor = __atomic_load_n(&end->cursor, __ATOMIC_RELAXED);
		if (mif_ring_peek(end->peer_index) != cursor)
			return true;
	}
	return false;
}

/*
 * No packet can come in where no mbuf is: go on asking the pool for some. On the thread of the
 * bursts, as only these know.
 */
static bool
lacks_mbufs(const struct mif_ring_end *ends)
{
	const struct mif_ring_end *end;

	for (end = ends; end != NULL; end = end->next) {
		if (end->zc != NULL && mif_zc_posted(end) == 0)
			return true;
	}
	return false;
}

/*
 * After unmask(): was that too late for some packet?
 *
 * One look would do if every peer had a fence between publishing and looking at our mask, as
 * mif_ring_wants_event() has. The stock driver, VPP and libmemif have none: their look may come
 * before their packet can be seen, so they do not wake us, and our first look does not find it. But
 * it is on its way then, and we were about to sleep: look for a while, so that it is received
 * without delay. The last look is one that began when the time was over, as we may be preempted
 * between a look and the clock. For what takes longer there is the control thread.
 */
static bool
too_late(const struct mif_ring_end *ends)
{
	uint64_t end = rte_get_timer_cycles() + rte_get_timer_hz() * SETTLE_US / US_PER_S;
	uint64_t now = 0;

	for (; ends != NULL && now < end; rte_pause()) {
		now = rte_get_timer_cycles();
		if (has_packets(ends) || lacks_mbufs(ends))
			return true;
	}
	return false;
}

bool
mif_wait_look_after(struct mif_wait *wait, const struct mif_ring_end *ends)
{
	uint32_t looks = __atomic_load_n(&wait->looks, __ATOMIC_RELAXED);

	if (looks == 0)
		return false;
	if (__atomic_load_n(&wait->enabled, __ATOMIC_RELAXED) != 0 && has_packets(ends))
		kick(wait);
	__atomic_compare_exchange_n(&wait->looks, &looks, looks - 1, false, __ATOMIC_RELAXED,
			__ATOMIC_RELAXED);
	return __atomic_load_n(&wait->looks, __ATOMIC_RELAXED) != 0;
}

void
mif_wait_attach(struct mif_wait *wait, struct mif_ring_end *ends)
{
	if (wait->epoll < 0)
		return;
	for (const struct mif_ring_end *end = ends; end != NULL; end = end->next)
		watch(wait, end->event_fd);
	/* Fence: pairs with the one in mif_rx_intr_enable(). Either we see its wish, or it sees the
	 * open gate. */
	atomic_thread_fence(memory_order_seq_cst);
	if (__atomic_load_n(&wait->enabled, __ATOMIC_RELAXED) != 0) {
		unmask(ends);
		mif_lend_sleep(ends);
		kick(wait);
	}
}

void
mif_wait_detach(struct mif_wait *wait, const struct mif_ring_end *ends)
{
	if (wait->epoll < 0)
		return;
	for (const struct mif_ring_end *end = ends; end != NULL; end = end->next)
		epoll_ctl(wait->epoll, EPOLL_CTL_DEL, end->event_fd, NULL);
}

int
mif_rx_intr_enable(struct rte_eth_dev *dev, uint16_t queue_id)
{
	struct mif_queue *queue = dev->data->rx_queues[queue_id];
	struct mif_wait *wait = &queue->wait;
	struct mif_ring_end *ends;
	bool lent;

	if (wait->epoll < 0)
		return -ENOTSUP;
	drain(wait);
	__atomic_store_n(&wait->enabled, 1, __ATOMIC_RELAXED);
	/* Fence: pairs with the one in mif_wait_attach(). */
	atomic_thread_fence(memory_order_seq_cst);
	ends = mif_queue_enter_side(queue);
	unmask(ends);
	/* Only now, as the client may fill at once what it gets back. */
	lent = mif_lend_sleep(ends);
	if (!lent || too_late(ends))
		kick(wait);
	else if (ends != NULL)
		ask_for_looks(wait);
	mif_queue_leave_side(queue);
	return 0;
}

int
mif_rx_intr_disable(struct rte_eth_dev *dev, uint16_t queue_id)
{
	struct mif_queue *queue = dev->data->rx_queues[queue_id];
	struct mif_wait *wait = &queue->wait;
	struct mif_ring_end *ends, *end;

	if (wait->epoll < 0)
		return -ENOTSUP;
	__atomic_store_n(&wait->enabled, 0, __ATOMIC_RELAXED);
	ends = mif_queue_enter_side(queue);
	for (end = ends; end != NULL; end = end->next)
		mif_ring_mask(end->ring);
	mif_lend_wake(ends);
	mif_count(&queue->counters.interrupts, 1);
	mif_queue_leave_side(queue);
	return 0;
}

static int
fill_handle(struct rte_intr_handle *handle, struct rte_eth_dev *dev)
{
	uint16_t queues = dev->data->nb_rx_queues;
	const struct mif_queue *queue;

	if (rte_intr_type_set(handle, RTE_INTR_HANDLE_VDEV) != 0 ||
			rte_intr_efd_counter_size_set(handle, 0) != 0 ||
			rte_intr_nb_efd_set(handle, queues) != 0 ||
			rte_intr_max_intr_set(handle, queues + 1) != 0 ||
			rte_intr_vec_list_alloc(handle, "memif vectors", queues) != 0)
		return -EINVAL;
	for (uint16_t i = 0; i < queues; i++) {
		queue = dev->data->rx_queues[i];
		if (rte_intr_efds_index_set(handle, i, queue->wait.epoll) != 0 ||
				rte_intr_vec_list_index_set(handle, i,
						RTE_INTR_VEC_RXTX_OFFSET + i) != 0)
			return -EINVAL;
	}
	return 0;
}

int
mif_intr_setup(struct rte_eth_dev *dev)
{
	int ret;

	if (dev->data->dev_conf.intr_conf.rxq == 0 || dev->data->nb_rx_queues == 0)
		return 0;
	mif_intr_release(dev);
	dev->intr_handle = rte_intr_instance_alloc(RTE_INTR_INSTANCE_F_PRIVATE);
	ret = dev->intr_handle == NULL ? -ENOMEM : fill_handle(dev->intr_handle, dev);
	if (ret == 0)
		return 0;
	MIF_LOG(ERR, dev->data->name, "no interrupt vectors for %u receive queues",
			dev->data->nb_rx_queues);
	mif_intr_release(dev);
	return ret;
}

void
mif_intr_release(struct rte_eth_dev *dev)
{
	if (dev->intr_handle == NULL)
		return;
	rte_intr_free_epoll_fd(dev->intr_handle);
	rte_intr_vec_list_free(dev->intr_handle);
	rte_intr_instance_free(dev->intr_handle);
	dev->intr_handle = NULL;
}

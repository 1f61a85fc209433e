/* SPDX-License-Identifier: BSD-3-Clause */

#include <poll.h>
#include <sys/socket.h>
#include <ethdev_driver.h>
#include <rte_cycles.h>

#include "memif_chan.h"
#include "memif_cpu.h"
#include "memif_ctrl.h"
#include "memif_guard.h"
#include "memif_link.h"
#include "memif_lock.h"
#include "memif_log.h"
#include "memif_ring.h"
#include "memif_zc_memory.h"
#include "memif_zc_ring.h"
#include "memif_zc_server.h"

/*
 * A server's control thread closes its socket as soon as it has read our last word, unless it
 * hangs.
 */
#define HANG_UP_MS 500

/* Detached, while a burst may still be inside; of all ports, under the control lock. */
static TAILQ_HEAD(, mif_link) detached = TAILQ_HEAD_INITIALIZER(detached);

/*
 * Make the receive rings ready, and let each queue take the rings that are its: a peer may have
 * more rings than we have queues.
 */
static void
prepare_rx(struct mif_link *link, enum mif_dir dir, const struct mif_devargs *args,
		const struct rte_eth_dev *dev)
{
	uint16_t queues = dev->data->nb_rx_queues;
	uint16_t rings = link->end_count[dir];
	struct mif_ring_end *end;

	for (uint16_t i = 0; i < rings; i++) {
		end = &link->ends[dir][i];
		end->next = i + queues < rings ? &link->ends[dir][i + queues] : NULL;
		end->lag = mif_lag_init(args->rx_lag, end->size, rte_get_tsc_hz());
		mif_ring_mask(end->ring);
		/* Stock servers of DPDK clear it when they connect: say again what is posted. */
		if (end->zc != NULL)
			mif_zc_ring_start(dev->data->rx_queues[i], end, args->mode);
		else if (link->role == MIF_CLIENT)
			mif_ring_publish(end->own_index, (uint16_t)end->size);
	}
}

void
mif_link_open_rx(struct mif_link *link, struct mif_queue *queue)
{
	enum mif_dir dir = link->role == MIF_CLIENT ? MIF_S2C : MIF_C2S;
	struct mif_ring_end *ends;

	if (queue == NULL || queue->stopped || queue->id >= link->end_count[dir])
		return;
	ends = &link->ends[dir][queue->id];
	mif_lend_attach(ends, queue);
	mif_queue_open(queue, ends);
	mif_wait_attach(&queue->wait, ends);
}

void
mif_link_open_tx(struct mif_link *link, struct mif_queue *queue)
{
	enum mif_dir dir = link->role == MIF_CLIENT ? MIF_C2S : MIF_S2C;
	uint16_t rings = link->end_count[dir];

	if (queue == NULL || queue->stopped || rings == 0)
		return;
	mif_queue_open(queue, &link->ends[dir][queue->id % rings]);
}

static void
attach_rx(struct mif_link *link, enum mif_dir dir, const struct mif_devargs *args,
		const struct rte_eth_dev *dev)
{
	uint16_t queues = dev->data->nb_rx_queues;

	if (queues == 0)
		return;
	prepare_rx(link, dir, args, dev);
	for (uint16_t i = 0; i < queues; i++)
		mif_link_open_rx(link, dev->data->rx_queues[i]);
}

static void
attach_tx(struct mif_link *link, enum mif_dir dir, const struct rte_eth_dev *dev)
{
	uint16_t queues = dev->data->nb_tx_queues;
	uint16_t rings = link->end_count[dir];
	struct mif_ring_end *end;

	for (uint16_t i = 0; i < rings; i++) {
		end = &link->ends[dir][i];
		end->rest = mif_rest_init(end->size, rte_get_tsc_hz());
		end->shared = i + rings < queues;
		end->prefetchw = mif_cpu_takes_lines_early();
	}
	for (uint16_t i = 0; i < queues; i++)
		mif_link_open_tx(link, dev->data->tx_queues[i]);
}

/* The server has them, and files are scarce. */
static void
close_exposed(struct mif_link *link)
{
	for (uint16_t i = 0; link->memory != NULL && i < link->memory->count; i++)
		mif_region_close(&link->regions[link->memory->first + i]);
}

void
mif_link_attach(struct mif_link *link, const struct mif_devargs *args, struct rte_eth_dev *dev)
{
	enum mif_dir rx = args->role == MIF_CLIENT ? MIF_S2C : MIF_C2S;
	enum mif_dir tx = args->role == MIF_CLIENT ? MIF_C2S : MIF_S2C;

	link->shared->port = dev->data->port_id;
	/* First: who sleeps is woken by what waits in a receive ring, and may want to answer. */
	attach_tx(link, tx, dev);
	attach_rx(link, rx, args, dev);
	close_exposed(link);
	mif_mp_publish(link, dev->data->port_id);
}

bool
mif_link_heal(struct mif_link *link, uint32_t process)
{
	bool held = false;

	for (int dir = 0; dir < MIF_DIRS; dir++) {
		for (uint16_t i = 0; i < link->end_count[dir]; i++)
			held |= mif_lock_heal(&link->ends[dir][i].lock, process);
	}
	return held;
}

/* Also for a queue that was stopped: the burst that its stop waits for may still be inside. */
static void
wait_for(struct mif_link *link, struct mif_queue *queue)
{
	if (queue == NULL)
		return;
	mif_queue_shut(queue);
	mif_queue_hold(queue);
	link->waiting[link->waiting_count++] = queue;
}

/* Drops the queues that no burst is in; true when none is left. */
static bool
bursts_ended(struct mif_link *link)
{
	uint32_t left = 0;

	if (!link->fenced)
		link->fenced = mif_gate_barrier() == 0;
	if (!link->fenced)
		return false;
	for (uint32_t i = 0; i < link->waiting_count; i++) {
		if (mif_queue_idle(link->waiting[i]))
			mif_queue_drop(link->waiting[i]);
		else
			link->waiting[left++] = link->waiting[i];
	}
	link->waiting_count = left;
	return left == 0 && mif_lend_idle(link);
}

/* If the application still has packets of it, a signal handler must not use the control thread's
 * file any more for it, as that thread may end before. */
static bool
silence(struct mif_link *link)
{
	for (uint32_t i = 0; i < link->shared->region_count; i++) {
		if (!link->regions[i].sealed)
			mif_guard_silence(link->regions[i].addr);
	}
	return mif_guard_idle();
}

void
mif_link_part_socket(struct mif_link *link, int sock)
{
	if (link->role == MIF_CLIENT && link->memory == NULL) {
		mif_chan_close(sock);
		return;
	}
	link->sock = sock;
	link->patience = mif_ctrl_now() + HANG_UP_MS;
	/* To the server it looks as if the socket was closed. */
	if (link->role == MIF_CLIENT)
		shutdown(sock, SHUT_WR);
}

/* Can the server not write into posted mbufs any more? */
static bool
peer_left(struct mif_link *link)
{
	struct pollfd poll_fd = { .fd = link->sock, .events = POLLRDHUP };

	if (link->role == MIF_SERVER || link->sock < 0 || poll(&poll_fd, 1, 0) != 0)
		return true;
	if (mif_ctrl_now() < link->patience)
		return false;
	MIF_LOG(WARNING, link->name,
			"the server has not hung up for %d ms: it may write into mbufs that go back "
			"to their pools now; end it if it hangs",
			HANG_UP_MS);
	return true;
}

/* May a link go whose gates are shut? */
static bool
may_go(struct mif_link *link)
{
	return bursts_ended(link) && (!link->lends || silence(link)) && peer_left(link);
}

/*
 * The link may be gone when this returns, or go at any time: with the last mbuf that points into
 * it.
 */
static void
give_back(struct mif_link *link)
{
	mif_mp_withdraw(link);
	if (link->counters != NULL)
		mif_link_count_lost(link, link->counters);
	link->counters = NULL;
	mif_link_close_files(link);
	if (mif_lend_part(link))
		mif_link_free(link);
}

void
mif_link_detach(struct mif_link *link, struct rte_eth_dev *dev, struct mif_port_counters *counters)
{
	mif_mp_retract(link);
	link->counters = counters;
	for (uint16_t i = 0; i < dev->data->nb_rx_queues; i++)
		wait_for(link, dev->data->rx_queues[i]);
	for (uint16_t i = 0; i < dev->data->nb_tx_queues; i++)
		wait_for(link, dev->data->tx_queues[i]);
	mif_lend_end(link);
	if (may_go(link)) {
		give_back(link);
		return;
	}
	TAILQ_INSERT_TAIL(&detached, link, next);
	mif_ctrl_kick();
}

void
mif_link_forget(const struct mif_port_counters *counters)
{
	struct mif_link *link;

	TAILQ_FOREACH(link, &detached, next) {
		if (link->counters == counters)
			link->counters = NULL;
	}
}

unsigned int
mif_link_lingering(const struct mif_port_counters *counters)
{
	const struct mif_link *link;
	unsigned int count = 0;

	mif_link_reap();
	TAILQ_FOREACH(link, &detached, next)
		count += link->counters == counters && link->memory != NULL;
	return count;
}

unsigned int
mif_link_reap(void)
{
	struct mif_link *link, *after;
	unsigned int left = 0;

	for (link = TAILQ_FIRST(&detached); link != NULL; link = after) {
		after = TAILQ_NEXT(link, next);
		if (may_go(link)) {
			TAILQ_REMOVE(&detached, link, next);
			give_back(link);
		} else {
			left++;
		}
	}
	return left;
}

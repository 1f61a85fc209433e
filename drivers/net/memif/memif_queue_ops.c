/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <stdio.h>
#include <ethdev_driver.h>
#include <rte_common.h>

#include "memif_burst.h"
#include "memif_compat.h"
#include "memif_ctrl.h"
#include "memif_ethdev.h"
#include "memif_link.h"
#include "memif_port.h"
#include "memif_queue.h"
#include "memif_ring.h"

/* The rings of a queue at one moment; nothing without a connection. */
struct slots {
	uint32_t all;
	uint32_t filled; /* with packets that their receiver has not taken */
};

/*
 * As a burst does: through the gate, on the lcore that polls the queue. What the peer's index says
 * is only counted with, and an impossible one is for the next burst to deal with.
 */
static struct slots
rx_slots(struct mif_queue *queue)
{
	const struct mif_ring_end *end = mif_gate_enter(&queue->gate);
	struct slots slots = { 0 };
	uint32_t filled;

	for (; end != NULL; end = end->next) {
		filled = mif_ring_span(end->cursor, mif_ring_peek(end->peer_index));
		slots.all += end->size;
		slots.filled += filled <= end->size ? filled : 0;
	}
	mif_gate_leave(&queue->gate);
	return slots;
}

/* A client may fill what the server has emptied, a server what the client has posted. */
static uint32_t
free_slots(const struct mif_ring_end *end)
{
	bool client = end->own_index == mif_ring_index(end->ring, MIF_CLIENT);
	uint16_t limit = mif_ring_peek(end->peer_index);

	return mif_ring_span(end->cursor, client ? (uint16_t)(limit + end->size) : limit);
}

static struct slots
tx_slots(struct mif_queue *queue)
{
	struct mif_ring_end *end = mif_gate_enter(&queue->gate);
	struct slots slots = { 0 };
	uint32_t left;

	if (end != NULL) {
		if (end->shared)
			rte_spinlock_lock(&end->lock);
		left = free_slots(end);
		if (end->shared)
			rte_spinlock_unlock(&end->lock);
		slots.all = end->size;
		slots.filled = left <= end->size ? end->size - left : 0;
	}
	mif_gate_leave(&queue->gate);
	return slots;
}

static mif_queue_count
rx_queue_count(void *queue)
{
	return rx_slots(queue).filled;
}

static int
rx_descriptor_status(void *queue, uint16_t offset)
{
	struct slots slots = rx_slots(queue);

	if (offset < slots.filled)
		return RTE_ETH_RX_DESC_DONE;
	if (slots.all == 0)
		return RTE_ETH_RX_DESC_UNAVAIL;
	return offset < slots.all ? RTE_ETH_RX_DESC_AVAIL : -EINVAL;
}

static int
tx_descriptor_status(void *queue, uint16_t offset)
{
	struct slots slots = tx_slots(queue);

	if (offset < slots.all - slots.filled)
		return RTE_ETH_TX_DESC_DONE;
	if (slots.all == 0)
		return RTE_ETH_TX_DESC_UNAVAIL;
	return offset < slots.all ? RTE_ETH_TX_DESC_FULL : -EINVAL;
}

#if RTE_VERSION >= RTE_VERSION_NUM(24, 3, 0, 0)
static int
tx_queue_count(void *queue)
{
	return (int)tx_slots(queue).filled;
}
#endif

void
mif_queue_ops_set(struct rte_eth_dev *dev)
{
	dev->rx_queue_count = rx_queue_count;
	dev->rx_descriptor_status = rx_descriptor_status;
	dev->tx_descriptor_status = tx_descriptor_status;
#if RTE_VERSION >= RTE_VERSION_NUM(24, 3, 0, 0)
	dev->tx_queue_count = tx_queue_count;
#endif
}

/* The client decides on the size: known once connected, and what this port would ask for before. */
static uint16_t
ring_slots(const struct mif_port *port, bool transmit, uint16_t id)
{
	enum mif_dir dir = transmit == (port->args.role == MIF_CLIENT) ? MIF_C2S : MIF_S2C;
	const struct mif_link *link = port->link;
	const struct mif_ring_end *end;
	uint32_t slots = 0;

	if (link == NULL)
		return (uint16_t)(1u << port->args.log2_ring_size);
	if (link->end_count[dir] == 0)
		return 0;
	if (transmit)
		return (uint16_t)link->ends[dir][id % link->end_count[dir]].size;
	end = id < link->end_count[dir] ? &link->ends[dir][id] : NULL;
	for (; end != NULL; end = end->next)
		slots += end->size;
	return (uint16_t)RTE_MIN(slots, (uint32_t)UINT16_MAX);
}

static uint16_t
locked_slots(struct rte_eth_dev *dev, bool transmit, uint16_t id)
{
	uint16_t slots;

	mif_ctrl_lock();
	slots = ring_slots(mif_port_of(dev), transmit, id);
	mif_ctrl_unlock();
	return slots;
}

void
mif_rxq_info_get(struct rte_eth_dev *dev, uint16_t id, struct rte_eth_rxq_info *info)
{
	const struct mif_queue *queue = dev->data->rx_queues[id];

	info->mp = queue->pool;
	info->scattered_rx = queue->scatter;
	info->rx_buf_size = (uint16_t)queue->room;
	info->nb_desc = locked_slots(dev, false, id);
	info->conf.offloads = dev->data->dev_conf.rxmode.offloads;
}

void
mif_txq_info_get(struct rte_eth_dev *dev, uint16_t id, struct rte_eth_txq_info *info)
{
	info->nb_desc = locked_slots(dev, true, id);
	info->conf.offloads = dev->data->dev_conf.txmode.offloads;
}

int
mif_burst_mode_get(struct rte_eth_dev *dev, uint16_t id, struct rte_eth_burst_mode *mode)
{
	const struct mif_port *port = mif_port_of(dev);

	RTE_SET_USED(id);
	snprintf(mode->info, sizeof(mode->info), "%s, copy, %s",
			port->args.role == MIF_CLIENT ? "client" : "server", mif_burst_name());
	return 0;
}

int
mif_tx_done_cleanup(void *queue, uint32_t count)
{
	/* A packet is copied and freed by the burst that takes it: none waits. */
	RTE_SET_USED(queue);
	RTE_SET_USED(count);
	return 0;
}

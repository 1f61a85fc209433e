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
#include "memif_offload.h"
#include "memif_port.h"
#include "memif_queue.h"
#include "memif_ring.h"
#include "memif_zc_ring.h"

/* The rings of a queue at one moment; nothing without a connection. */
struct slots {
	uint32_t all;
	uint32_t filled; /* with packets that their receiver has not taken */
};

/* What the peer's index says is only counted with; an impossible one is for the next burst. */
static uint32_t
rx_filled(const struct mif_ring_end *end)
{
	uint16_t cursor = __atomic_load_n(&end->cursor, __ATOMIC_RELAXED);
	uint32_t filled = mif_ring_span(cursor, mif_ring_peek(end->peer_index));

	return filled <= end->size ? filled : 0;
}

/* A client may fill what the server has emptied, a server what the client has posted. */
static uint32_t
tx_filled(const struct mif_ring_end *end)
{
	bool client = end->own_index == mif_ring_index(end->ring, MIF_CLIENT);
	uint16_t cursor = __atomic_load_n(&end->cursor, __ATOMIC_RELAXED);
	uint16_t limit = mif_ring_peek(end->peer_index);
	uint32_t left = mif_ring_span(cursor, client ? (uint16_t)(limit + end->size) : limit);

	return left <= end->size ? end->size - left : 0;
}

uint32_t
mif_ring_filled(const struct mif_ring_end *end, bool transmit)
{
	return transmit ? tx_filled(end) : rx_filled(end);
}

static struct slots
rx_slots(struct mif_queue *queue)
{
	const struct mif_ring_end *end = mif_queue_enter_side(queue);
	struct slots slots = { 0 };

	for (; end != NULL; end = end->next) {
		slots.all += end->size;
		slots.filled += rx_filled(end);
	}
	mif_queue_leave_side(queue);
	return slots;
}

static struct slots
tx_slots(struct mif_queue *queue)
{
	const struct mif_ring_end *end = mif_queue_enter_side(queue);
	struct slots slots = { 0 };

	if (end != NULL) {
		slots.all = end->size;
		slots.filled = tx_filled(end);
	}
	mif_queue_leave_side(queue);
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

static enum mif_dir
direction(const struct mif_port *port, bool transmit)
{
	return transmit == (port->args.role == MIF_CLIENT) ? MIF_C2S : MIF_S2C;
}

uint16_t
mif_port_ring_count(const struct mif_port *port, bool transmit)
{
	return port->link == NULL ? 0 : port->link->end_count[direction(port, transmit)];
}

const struct mif_ring_end *
mif_port_ring(const struct mif_port *port, bool transmit, uint16_t index)
{
	return &port->link->ends[direction(port, transmit)][index];
}

/* The client decides on the size: known once connected, and what this port would ask for before. */
static uint16_t
queue_slots(const struct mif_port *port, bool transmit, uint16_t id)
{
	uint16_t rings = mif_port_ring_count(port, transmit);
	const struct mif_ring_end *end;
	uint32_t slots = 0;

	if (port->link == NULL)
		return (uint16_t)(1u << port->args.log2_ring_size);
	if (transmit)
		return rings == 0 ? 0 : (uint16_t)mif_port_ring(port, true, id % rings)->size;
	end = id < rings ? mif_port_ring(port, false, id) : NULL;
	for (; end != NULL; end = end->next)
		slots += end->size;
	return (uint16_t)RTE_MIN(slots, (uint32_t)UINT16_MAX);
}

static uint16_t
locked_slots(struct rte_eth_dev *dev, bool transmit, uint16_t id)
{
	uint16_t slots;

	mif_ctrl_lock();
	slots = queue_slots(mif_port_of(dev), transmit, id);
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
	info->conf.offloads = dev->data->dev_conf.rxmode.offloads & ~MIF_OFFLOAD_RX;
	info->conf.offloads |= queue->strip ? RTE_ETH_RX_OFFLOAD_VLAN_STRIP : 0;
	info->conf.rx_deferred_start = queue->deferred;
}

void
mif_txq_info_get(struct rte_eth_dev *dev, uint16_t id, struct rte_eth_txq_info *info)
{
	const struct mif_queue *queue = dev->data->tx_queues[id];

	info->nb_desc = locked_slots(dev, true, id);
	info->conf.tx_deferred_start = queue->deferred;
	info->conf.offloads = dev->data->dev_conf.txmode.offloads;
	/* Beyond 16 bits: there was no wish. */
	info->conf.tx_free_thresh = queue->free_thresh <= UINT16_MAX ?
			(uint16_t)queue->free_thresh :
			0;
}

static int
describe_burst(struct rte_eth_dev *dev, struct rte_eth_burst_mode *mode, const char *more)
{
	const struct mif_port *port = mif_port_of(dev);

	snprintf(mode->info, sizeof(mode->info), "%s, %s, %s%s",
			port->args.role == MIF_CLIENT ? "client" : "server",
			mif_port_copy_word(port), mif_burst_name(), more);
	return 0;
}

int
mif_rx_burst_mode_get(struct rte_eth_dev *dev, uint16_t id, struct rte_eth_burst_mode *mode)
{
	const struct mif_queue *queue = dev->data->rx_queues[id];

	return describe_burst(dev, mode, queue->strip ? ", VLAN strip" : "");
}

int
mif_tx_burst_mode_get(struct rte_eth_dev *dev, uint16_t id, struct rte_eth_burst_mode *mode)
{
	const struct mif_queue *queue = dev->data->tx_queues[id];

	return describe_burst(dev, mode, queue->offload != NULL ? ", offloads" : "");
}

int
mif_tx_done_cleanup(void *queue, uint32_t count)
{
	/* Where packets are copied, the burst that takes one frees it: none waits. */
	return mif_zc_done_cleanup(queue, count);
}

/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <ethdev_driver.h>
#include <rte_common.h>
#include <rte_cycles.h>

#include "memif_ctrl.h"
#include "memif_ethdev.h"
#include "memif_gate.h"
#include "memif_link.h"
#include "memif_log.h"
#include "memif_port.h"
#include "memif_queue.h"

#define LAST_BURST_MS 1000 /* a stop waits so long for the burst that is under way */
#define LOOK_US 20	   /* between two looks at it */

static void
set_states(void *const *queues, uint8_t *states, uint16_t count)
{
	struct mif_queue *queue;

	for (uint16_t i = 0; i < count; i++) {
		queue = queues[i];
		queue->stopped = queue->deferred;
		states[i] = queue->deferred ? RTE_ETH_QUEUE_STATE_STOPPED :
					      RTE_ETH_QUEUE_STATE_STARTED;
	}
}

void
mif_queues_start(struct rte_eth_dev *dev)
{
	struct rte_eth_dev_data *data = dev->data;

	set_states(data->rx_queues, data->rx_queue_state, data->nb_rx_queues);
	set_states(data->tx_queues, data->tx_queue_state, data->nb_tx_queues);
}

void
mif_queues_stopped(struct rte_eth_dev *dev)
{
	for (uint16_t i = 0; i < dev->data->nb_rx_queues; i++)
		dev->data->rx_queue_state[i] = RTE_ETH_QUEUE_STATE_STOPPED;
	for (uint16_t i = 0; i < dev->data->nb_tx_queues; i++)
		dev->data->tx_queue_state[i] = RTE_ETH_QUEUE_STATE_STOPPED;
}

/*
 * Wait here, on the application's thread, for the burst that may be inside. The queue's gates are
 * closed; a share in the queue is held, as the lock is not while we sleep.
 */
static int
wait_idle(struct mif_queue *queue)
{
	uint64_t end = mif_ctrl_now() + LAST_BURST_MS;
	bool fenced = mif_gate_barrier() == 0;

	while (!fenced || !mif_queue_idle(queue)) {
		if (mif_ctrl_now() >= end)
			return -EBUSY;
		mif_ctrl_unlock();
		rte_delay_us_sleep(LOOK_US);
		mif_ctrl_lock();
		fenced = fenced || mif_gate_barrier() == 0;
	}
	return 0;
}

static int
stop_queue(const struct rte_eth_dev *dev, const char *kind, struct mif_queue *queue, uint8_t *state)
{
	int ret;

	mif_ctrl_lock();
	queue->stopped = true;
	mif_queue_shut(queue);
	mif_queue_hold(queue);
	ret = wait_idle(queue);
	if (ret == 0)
		*state = RTE_ETH_QUEUE_STATE_STOPPED;
	else
		MIF_LOG(ERR, dev->data->name,
				"a burst of %s queue %u has not ended for %d ms: stop the queue "
				"again before touching its mbufs",
				kind, queue->id, LAST_BURST_MS);
	mif_queue_drop(queue);
	mif_ctrl_unlock();
	return ret;
}

int
mif_rx_queue_start(struct rte_eth_dev *dev, uint16_t id)
{
	struct mif_queue *queue = dev->data->rx_queues[id];
	struct mif_link *link;

	mif_ctrl_lock();
	queue->stopped = false;
	link = mif_port_of(dev)->link;
	if (link != NULL)
		mif_link_open_rx(link, queue);
	dev->data->rx_queue_state[id] = RTE_ETH_QUEUE_STATE_STARTED;
	mif_ctrl_unlock();
	return 0;
}

int
mif_tx_queue_start(struct rte_eth_dev *dev, uint16_t id)
{
	struct mif_queue *queue = dev->data->tx_queues[id];
	struct mif_link *link;

	mif_ctrl_lock();
	queue->stopped = false;
	link = mif_port_of(dev)->link;
	if (link != NULL)
		mif_link_open_tx(link, queue);
	dev->data->tx_queue_state[id] = RTE_ETH_QUEUE_STATE_STARTED;
	mif_ctrl_unlock();
	return 0;
}

int
mif_rx_queue_stop(struct rte_eth_dev *dev, uint16_t id)
{
	return stop_queue(dev, "receive", dev->data->rx_queues[id], &dev->data->rx_queue_state[id]);
}

int
mif_tx_queue_stop(struct rte_eth_dev *dev, uint16_t id)
{
	return stop_queue(dev, "transmit", dev->data->tx_queues[id],
			&dev->data->tx_queue_state[id]);
}

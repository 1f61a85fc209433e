/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <ethdev_driver.h>
#include <rte_common.h>
#include <rte_ether.h>

#include "memif_burst.h"
#include "memif_compat.h"
#include "memif_ctrl.h"
#include "memif_ethdev.h"
#include "memif_intr.h"
#include "memif_log.h"
#include "memif_port.h"
#include "memif_queue.h"

#define RX_OFFLOADS RTE_ETH_RX_OFFLOAD_SCATTER
#define TX_OFFLOADS RTE_ETH_TX_OFFLOAD_MULTI_SEGS

static int
dev_configure(struct rte_eth_dev *dev)
{
	RTE_SET_USED(dev);
	return 0;
}

static int
dev_info_get(struct rte_eth_dev *dev, struct rte_eth_dev_info *info)
{
	RTE_SET_USED(dev);
	info->max_mac_addrs = 1;
	info->max_rx_queues = MIF_QUEUES_MAX;
	info->max_tx_queues = MIF_QUEUES_MAX;
	info->min_rx_bufsize = 1;
	info->max_rx_pktlen = MIF_PACKET_MAX;
	info->min_mtu = RTE_ETHER_MIN_MTU;
	info->max_mtu = UINT16_MAX;
	info->rx_offload_capa = RX_OFFLOADS;
	info->tx_offload_capa = TX_OFFLOADS;
	return 0;
}

static void
set_queue_states(struct rte_eth_dev *dev, uint8_t state)
{
	for (uint16_t i = 0; i < dev->data->nb_rx_queues; i++)
		dev->data->rx_queue_state[i] = state;
	for (uint16_t i = 0; i < dev->data->nb_tx_queues; i++)
		dev->data->tx_queue_state[i] = state;
}

static int
dev_start(struct rte_eth_dev *dev)
{
	struct mif_port *port = mif_port_of(dev);
	int ret = mif_intr_setup(dev);

	if (ret != 0)
		return ret;
	mif_burst_choose(dev, port->args.role);
	mif_ctrl_lock();
	port->started = true;
	mif_port_start(port);
	mif_ctrl_unlock();
	set_queue_states(dev, RTE_ETH_QUEUE_STATE_STARTED);
	return 0;
}

static int
dev_stop(struct rte_eth_dev *dev)
{
	struct mif_port *port = mif_port_of(dev);

	dev->data->dev_started = 0;
	mif_ctrl_lock();
	port->started = false;
	mif_port_stop(port, "interface stopped");
	mif_ctrl_unlock();
	set_queue_states(dev, RTE_ETH_QUEUE_STATE_STOPPED);
	return 0;
}

static int
dev_set_link_up(struct rte_eth_dev *dev)
{
	struct mif_port *port = mif_port_of(dev);

	mif_ctrl_lock();
	port->wanted_up = true;
	mif_port_start(port);
	mif_ctrl_unlock();
	return 0;
}

static int
dev_set_link_down(struct rte_eth_dev *dev)
{
	struct mif_port *port = mif_port_of(dev);

	mif_ctrl_lock();
	port->wanted_up = false;
	mif_port_stop(port, "interface set down");
	mif_ctrl_unlock();
	return 0;
}

static void
release_queue(void **slot)
{
	mif_ctrl_lock();
	if (*slot != NULL)
		mif_queue_drop(*slot);
	*slot = NULL;
	mif_ctrl_unlock();
}

static void
rx_queue_release(struct rte_eth_dev *dev, uint16_t id)
{
	release_queue(&dev->data->rx_queues[id]);
}

static void
tx_queue_release(struct rte_eth_dev *dev, uint16_t id)
{
	release_queue(&dev->data->tx_queues[id]);
}

static int
dev_close(struct rte_eth_dev *dev)
{
	struct mif_port *port = mif_port_of(dev);

	if (rte_eal_process_type() != RTE_PROC_PRIMARY)
		return 0;
	mif_port_close(port);
	mif_intr_release(dev);
	for (uint16_t i = 0; i < dev->data->nb_rx_queues; i++)
		rx_queue_release(dev, i);
	for (uint16_t i = 0; i < dev->data->nb_tx_queues; i++)
		tx_queue_release(dev, i);
	/* The address lies in the private data, which the ethdev library frees by itself. */
	dev->data->mac_addrs = NULL;
	return 0;
}

static struct mif_queue *
create_queue(const struct rte_eth_dev *dev, const char *kind, uint16_t id, unsigned int socket)
{
	struct mif_queue *queue = mif_queue_create(id, (int)socket);

	if (queue == NULL)
		MIF_LOG(ERR, dev->data->name, "no memory for %s queue %u on NUMA node %d", kind, id,
				(int)socket);
	return queue;
}

static int
rx_queue_setup(struct rte_eth_dev *dev, uint16_t id, uint16_t slots, unsigned int socket,
		const struct rte_eth_rxconf *conf, struct rte_mempool *pool)
{
	uint64_t offloads = conf->offloads | dev->data->dev_conf.rxmode.offloads;
	struct mif_queue *queue;

	/* A hint: the ring's size is the client's rsize. */
	RTE_SET_USED(slots);
	if (rte_pktmbuf_data_room_size(pool) <= RTE_PKTMBUF_HEADROOM) {
		MIF_LOG(ERR, dev->data->name, "mbufs of pool %s have no room behind the headroom",
				pool->name);
		return -EINVAL;
	}
	queue = create_queue(dev, "receive", id, socket);
	if (queue == NULL)
		return -ENOMEM;
	if (dev->data->dev_conf.intr_conf.rxq != 0 && mif_wait_open(&queue->wait) != 0) {
		MIF_LOG(ERR, dev->data->name, "no files for the interrupts of receive queue %u",
				id);
		release_queue((void **)&queue);
		return -EMFILE;
	}
	mif_queue_set_pool(queue, pool, dev->data->port_id,
			(offloads & RTE_ETH_RX_OFFLOAD_SCATTER) != 0);
	dev->data->rx_queues[id] = queue;
	return 0;
}

static int
tx_queue_setup(struct rte_eth_dev *dev, uint16_t id, uint16_t slots, unsigned int socket,
		const struct rte_eth_txconf *conf)
{
	struct mif_queue *queue = create_queue(dev, "transmit", id, socket);

	RTE_SET_USED(slots);
	RTE_SET_USED(conf);
	if (queue == NULL)
		return -ENOMEM;
	dev->data->tx_queues[id] = queue;
	return 0;
}

/* The control thread keeps the link's state up to date by itself. */
static int
link_update(struct rte_eth_dev *dev, int wait)
{
	RTE_SET_USED(dev);
	RTE_SET_USED(wait);
	return 0;
}

/* All packets that the peer sends are taken, so there is nothing to switch. */
static int
accept_all(struct rte_eth_dev *dev)
{
	RTE_SET_USED(dev);
	return 0;
}

static int
mac_addr_set(struct rte_eth_dev *dev, struct rte_ether_addr *mac)
{
	RTE_SET_USED(dev);
	RTE_SET_USED(mac);
	return 0;
}

static int
mtu_set(struct rte_eth_dev *dev, uint16_t mtu)
{
	RTE_SET_USED(dev);
	RTE_SET_USED(mtu);
	return 0;
}

const struct eth_dev_ops mif_ethdev_ops = {
	.dev_configure = dev_configure,
	.dev_infos_get = dev_info_get,
	.dev_start = dev_start,
	.dev_stop = dev_stop,
	.dev_close = dev_close,
	.dev_set_link_up = dev_set_link_up,
	.dev_set_link_down = dev_set_link_down,
	.rx_queue_setup = rx_queue_setup,
	.rx_queue_release = rx_queue_release,
	.tx_queue_setup = tx_queue_setup,
	.tx_queue_release = tx_queue_release,
	.rx_queue_intr_enable = mif_rx_intr_enable,
	.rx_queue_intr_disable = mif_rx_intr_disable,
	.link_update = link_update,
	.promiscuous_enable = accept_all,
	.promiscuous_disable = accept_all,
	.allmulticast_enable = accept_all,
	.allmulticast_disable = accept_all,
	.mac_addr_set = mac_addr_set,
	.mtu_set = mtu_set,
	.stats_get = mif_stats_get,
	.stats_reset = mif_stats_reset,
	.xstats_get = mif_xstats_get,
	.xstats_get_names = mif_xstats_get_names,
	.xstats_reset = mif_stats_reset,
	.eth_dev_priv_dump = mif_dump,
};

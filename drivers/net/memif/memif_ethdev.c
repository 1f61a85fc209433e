/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <string.h>
#include <ethdev_driver.h>
#include <rte_common.h>
#include <rte_ether.h>
#include <rte_malloc.h>

#include "memif_burst.h"
#include "memif_compat.h"
#include "memif_ctrl.h"
#include "memif_ethdev.h"
#include "memif_intr.h"
#include "memif_log.h"
#include "memif_offload.h"
#include "memif_port.h"
#include "memif_queue.h"
#include "memif_zc_memory.h"
#include "memif_zc_server.h"

#define RX_QUEUE_OFFLOADS MIF_OFFLOAD_RX
#define RX_OFFLOADS (RTE_ETH_RX_OFFLOAD_SCATTER | RX_QUEUE_OFFLOADS)
#define TX_OFFLOADS \
	(RTE_ETH_TX_OFFLOAD_MULTI_SEGS | RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE | MIF_OFFLOAD_TX)

static int
dev_configure(struct rte_eth_dev *dev)
{
	RTE_SET_USED(dev);
	return 0;
}

/* The number of descriptors that an application asks for is a hint: the client's rsize decides. */
static void
set_descriptor_limits(struct rte_eth_dev_info *info, uint16_t ring_size)
{
	const struct rte_eth_desc_lim any = {
		.nb_max = UINT16_MAX,
		.nb_min = 1,
		.nb_align = 1,
		.nb_seg_max = UINT16_MAX,
		.nb_mtu_seg_max = UINT16_MAX,
	};
	const struct rte_eth_dev_portconf preferred = {
		.burst_size = 32,
		.ring_size = ring_size,
		.nb_queues = 1,
	};

	info->rx_desc_lim = any;
	info->tx_desc_lim = any;
	info->default_rxportconf = preferred;
	info->default_txportconf = preferred;
}

static int
dev_info_get(struct rte_eth_dev *dev, struct rte_eth_dev_info *info)
{
	const struct mif_port *port = mif_port_of(dev);

	info->max_mac_addrs = MIF_MACS_MAX;
	info->max_rx_queues = MIF_QUEUES_MAX;
	info->max_tx_queues = MIF_QUEUES_MAX;
	info->min_rx_bufsize = 1 + mif_l2_added(port->args.mode);
	info->max_rx_pktlen = MIF_PACKET_MAX;
	info->min_mtu = RTE_ETHER_MIN_MTU;
	info->max_mtu = UINT16_MAX;
	info->rx_offload_capa = RX_OFFLOADS;
	info->rx_queue_offload_capa = RX_QUEUE_OFFLOADS;
	info->tx_offload_capa = TX_OFFLOADS;
	set_descriptor_limits(info, (uint16_t)(1u << port->args.log2_ring_size));
	return 0;
}

/* A queue that was configured and not set up would be met by its first burst. */
static int
refuse_missing(const struct rte_eth_dev *dev, const char *kind, void *const *queues, uint16_t count)
{
	for (uint16_t i = 0; i < count; i++) {
		if (queues[i] != NULL)
			continue;
		MIF_LOG(ERR, dev->data->name, "%s queue %u of %u is not set up", kind, i, count);
		return -EINVAL;
	}
	return 0;
}

/* Bytes of packet that every receive queue can take; UINT32_MAX when they all scatter. */
static uint32_t
unscattered_room(const struct rte_eth_dev *dev)
{
	const struct mif_queue *queue;
	uint32_t room = UINT32_MAX;

	for (uint16_t i = 0; i < dev->data->nb_rx_queues; i++) {
		queue = dev->data->rx_queues[i];
		if (!queue->scatter)
			room = RTE_MIN(room, queue->room);
	}
	return room;
}

static void
note_scatter(struct rte_eth_dev *dev)
{
	uint32_t room = unscattered_room(dev);

	dev->data->scattered_rx = dev->data->nb_rx_queues != 0 && room == UINT32_MAX;
	if (room < (uint32_t)dev->data->mtu + RTE_ETHER_HDR_LEN)
		MIF_LOG(WARNING, dev->data->name,
				"packets of more than %u bytes will be dropped, the MTU is %u: use "
				"receive scatter or larger mbufs",
				room, dev->data->mtu);
}

static int
dev_start(struct rte_eth_dev *dev)
{
	struct rte_eth_dev_data *data = dev->data;
	struct mif_port *port = mif_port_of(dev);
	int ret = refuse_missing(dev, "receive", data->rx_queues, data->nb_rx_queues);

	if (ret == 0)
		ret = refuse_missing(dev, "transmit", data->tx_queues, data->nb_tx_queues);
	if (ret == 0)
		ret = mif_intr_setup(dev);
	if (ret == 0 && port->args.zero_copy && port->args.role == MIF_CLIENT)
		ret = mif_zc_memory_watch(dev);
	if (ret != 0)
		return ret;
	note_scatter(dev);
	mif_burst_choose(dev, &port->args);
	mif_queue_ops_set(dev);
	mif_ctrl_lock();
	mif_queues_start(dev);
	port->started = true;
	mif_port_start(port);
	mif_ctrl_unlock();
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
	mif_port_settle(port);
	mif_ctrl_unlock();
	mif_queues_stopped(dev);
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
	/* As after a stop, no server writes into mbufs any more, and those of its rings are back. */
	mif_port_settle(port);
	mif_ctrl_unlock();
	return 0;
}

static void
release_queue(void **slot, struct mif_counters *retired)
{
	struct mif_queue *queue;

	mif_ctrl_lock();
	queue = *slot;
	*slot = NULL;
	if (queue != NULL) {
		mif_stats_retire(retired, queue);
		mif_queue_drop(queue);
	}
	mif_ctrl_unlock();
}

static void
rx_queue_release(struct rte_eth_dev *dev, uint16_t id)
{
	release_queue(&dev->data->rx_queues[id], &mif_port_of(dev)->retired_rx);
}

static void
tx_queue_release(struct rte_eth_dev *dev, uint16_t id)
{
	release_queue(&dev->data->tx_queues[id], &mif_port_of(dev)->retired_tx);
}

static void
release_queues(struct rte_eth_dev *dev)
{
	for (uint16_t i = 0; i < dev->data->nb_rx_queues; i++)
		rx_queue_release(dev, i);
	for (uint16_t i = 0; i < dev->data->nb_tx_queues; i++)
		tx_queue_release(dev, i);
}

static int
dev_close(struct rte_eth_dev *dev)
{
	struct mif_port *port = mif_port_of(dev);

	if (rte_eal_process_type() != RTE_PROC_PRIMARY)
		return 0;
	mif_port_close(port);
	mif_intr_release(dev);
	release_queues(dev);
	return 0;
}

int
mif_ethdev_set_mac(struct rte_eth_dev *dev, const struct rte_ether_addr *mac)
{
	struct rte_ether_addr *macs = dev->data->mac_addrs;

	if (macs == NULL)
		macs = rte_calloc("memif addresses", MIF_MACS_MAX, sizeof(*macs), 0);
	if (macs == NULL)
		return -ENOMEM;
	memset(macs, 0, MIF_MACS_MAX * sizeof(*macs));
	rte_ether_addr_copy(mac, &macs[0]);
	dev->data->mac_addrs = macs;
	return 0;
}

/* As after the probe; ethdev has stopped the port, and the application sets it up anew. */
static int
dev_reset(struct rte_eth_dev *dev)
{
	struct mif_port *port = mif_port_of(dev);

	if (rte_eal_process_type() != RTE_PROC_PRIMARY)
		return -EPERM;
	mif_intr_release(dev);
	release_queues(dev);
	mif_stats_reset(dev);
	memset(dev->data->mac_pool_sel, 0, sizeof(dev->data->mac_pool_sel));
	dev->data->mtu = RTE_ETHER_MTU;
	mif_ctrl_lock();
	port->wanted_up = true;
	port->reason[0] = '\0';
	mif_ctrl_unlock();
	return mif_ethdev_set_mac(dev, &port->args.mac);
}

static struct mif_queue *
create_queue(const struct rte_eth_dev *dev, const char *kind, uint16_t id, unsigned int socket)
{
	struct mif_queue *queue = mif_queue_create(id, (int)socket);

	if (queue == NULL)
		MIF_LOG(ERR, dev->data->name, "no memory for %s queue %u on NUMA node %d", kind, id,
				(int)socket);
	else
		queue->port_id = dev->data->port_id;
	return queue;
}

static int
rx_queue_setup(struct rte_eth_dev *dev, uint16_t id, uint16_t slots, unsigned int socket,
		const struct rte_eth_rxconf *conf, struct rte_mempool *pool)
{
	uint64_t offloads = conf->offloads | dev->data->dev_conf.rxmode.offloads;
	const struct mif_port *port = mif_port_of(dev);
	const struct rte_ether_addr peer = mif_port_peer_mac(port);
	struct mif_queue *queue;

	RTE_SET_USED(slots);
	if (rte_pktmbuf_data_room_size(pool) <=
			RTE_PKTMBUF_HEADROOM + mif_l2_added(port->args.mode)) {
		MIF_LOG(ERR, dev->data->name, "mbufs of pool %s have no room behind the headroom%s",
				pool->name,
				port->args.mode == MIF_MODE_IP ? " and an Ethernet header" : "");
		return -EINVAL;
	}
	queue = create_queue(dev, "receive", id, socket);
	if (queue == NULL)
		return -ENOMEM;
	if (dev->data->dev_conf.intr_conf.rxq != 0 && mif_wait_open(&queue->wait) != 0) {
		MIF_LOG(ERR, dev->data->name, "no files for the interrupts of receive queue %u",
				id);
		mif_ctrl_lock();
		mif_queue_drop(queue);
		mif_ctrl_unlock();
		return -EMFILE;
	}
	mif_queue_set_pool(queue, pool, dev->data->port_id,
			(offloads & RTE_ETH_RX_OFFLOAD_SCATTER) != 0);
	mif_l2_init(&queue->l2, &dev->data->mac_addrs[0], &peer);
	queue->deferred = conf->rx_deferred_start != 0;
	if (port->args.zero_copy && port->args.role == MIF_SERVER)
		mif_lend_setup_queue(queue, port->args.mode, dev->data->name);
	mif_queue_set_strip(queue, (offloads & RTE_ETH_RX_OFFLOAD_VLAN_STRIP) != 0);
	dev->data->rx_queues[id] = queue;
	return 0;
}

static bool
equip_offloads(const struct rte_eth_dev *dev, struct mif_queue *queue, int socket)
{
	if ((dev->data->dev_conf.txmode.offloads & MIF_OFFLOAD_TX) == 0)
		return true;
	queue->offload = mif_offload_create(socket);
	if (queue->offload == NULL)
		MIF_LOG(ERR, dev->data->name,
				"no memory for the offloads of transmit queue %u on NUMA node %d",
				queue->id, socket);
	return queue->offload != NULL;
}

static int
tx_queue_setup(struct rte_eth_dev *dev, uint16_t id, uint16_t slots, unsigned int socket,
		const struct rte_eth_txconf *conf)
{
	struct mif_queue *queue;

	RTE_SET_USED(slots);
	queue = create_queue(dev, "transmit", id, socket);
	if (queue == NULL)
		return -ENOMEM;
	queue->deferred = conf->tx_deferred_start != 0;
	if (!equip_offloads(dev, queue, (int)socket)) {
		mif_ctrl_lock();
		mif_queue_drop(queue);
		mif_ctrl_unlock();
		return -ENOMEM;
	}
	/* Without a wish of the application: as soon as there are some. */
	queue->free_thresh = conf->tx_free_thresh != 0 ? conf->tx_free_thresh : UINT32_MAX;
	queue->copybreak = ((struct mif_port *)dev->data->dev_private)->args.tx_copybreak;
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

/* It stands in what mode=ip puts in front of packets. */
static int
mac_addr_set(struct rte_eth_dev *dev, struct rte_ether_addr *mac)
{
	struct mif_queue *queue;

	for (uint16_t i = 0; i < dev->data->nb_rx_queues; i++) {
		queue = dev->data->rx_queues[i];
		if (queue != NULL)
			mif_l2_set_own(&queue->l2, mac);
	}
	return 0;
}

static int
mac_addr_add(struct rte_eth_dev *dev, struct rte_ether_addr *mac, uint32_t index, uint32_t pool)
{
	RTE_SET_USED(dev);
	RTE_SET_USED(mac);
	RTE_SET_USED(index);
	RTE_SET_USED(pool);
	return 0;
}

static void
mac_addr_remove(struct rte_eth_dev *dev, uint32_t index)
{
	RTE_SET_USED(dev);
	RTE_SET_USED(index);
}

static int
set_mc_addr_list(struct rte_eth_dev *dev, struct rte_ether_addr *macs, uint32_t count)
{
	RTE_SET_USED(dev);
	RTE_SET_USED(macs);
	RTE_SET_USED(count);
	return 0;
}

/* ethdev has checked the limits of dev_info_get(). Before the start, mbufs may still change. */
static int
mtu_set(struct rte_eth_dev *dev, uint16_t mtu)
{
	uint32_t room = dev->data->dev_started ? unscattered_room(dev) : UINT32_MAX;

	if ((uint32_t)mtu + RTE_ETHER_HDR_LEN <= room)
		return 0;
	MIF_LOG(ERR, dev->data->name,
			"MTU %u does not fit into mbufs of %u bytes: use receive scatter or larger "
			"mbufs",
			mtu, room);
	return -EINVAL;
}

/* No packet is looked into, so packet_type of all received ones is unknown. */
#if RTE_VERSION >= RTE_VERSION_NUM(24, 3, 0, 0)
static const uint32_t *
supported_ptypes_get(struct rte_eth_dev *dev, size_t *count)
{
	RTE_SET_USED(dev);
	*count = 0;
	return NULL;
}
#else
static const uint32_t *
supported_ptypes_get(struct rte_eth_dev *dev)
{
	static const uint32_t none[] = { RTE_PTYPE_UNKNOWN };

	RTE_SET_USED(dev);
	return none;
}
#endif

const struct eth_dev_ops mif_ethdev_ops = {
	.dev_configure = dev_configure,
	.dev_infos_get = dev_info_get,
	.dev_start = dev_start,
	.dev_stop = dev_stop,
	.dev_close = dev_close,
	.dev_reset = dev_reset,
	.dev_set_link_up = dev_set_link_up,
	.dev_set_link_down = dev_set_link_down,
	.rx_queue_setup = rx_queue_setup,
	.rx_queue_release = rx_queue_release,
	.tx_queue_setup = tx_queue_setup,
	.tx_queue_release = tx_queue_release,
	.rx_queue_start = mif_rx_queue_start,
	.rx_queue_stop = mif_rx_queue_stop,
	.tx_queue_start = mif_tx_queue_start,
	.tx_queue_stop = mif_tx_queue_stop,
	.rx_queue_intr_enable = mif_rx_intr_enable,
	.rx_queue_intr_disable = mif_rx_intr_disable,
	.get_monitor_addr = mif_get_monitor_addr,
	.rxq_info_get = mif_rxq_info_get,
	.txq_info_get = mif_txq_info_get,
	.rx_burst_mode_get = mif_rx_burst_mode_get,
	.tx_burst_mode_get = mif_tx_burst_mode_get,
	.tx_done_cleanup = mif_tx_done_cleanup,
	.dev_supported_ptypes_get = supported_ptypes_get,
	.link_update = link_update,
	.promiscuous_enable = accept_all,
	.promiscuous_disable = accept_all,
	.allmulticast_enable = accept_all,
	.allmulticast_disable = accept_all,
	.mac_addr_set = mac_addr_set,
	.mac_addr_add = mac_addr_add,
	.mac_addr_remove = mac_addr_remove,
	.set_mc_addr_list = set_mc_addr_list,
	.mtu_set = mtu_set,
	.vlan_offload_set = mif_vlan_offload_set,
	.vlan_strip_queue_set = mif_vlan_strip_queue_set,
	.stats_get = mif_stats_get,
	.stats_reset = mif_stats_reset,
	.xstats_get = mif_xstats_get,
	.xstats_get_names = mif_xstats_get_names,
	.xstats_reset = mif_stats_reset,
	.eth_dev_priv_dump = mif_dump,
};

/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <bus_vdev_driver.h>
#include <ethdev_driver.h>
#include <ethdev_vdev.h>
#include <rte_common.h>
#include <rte_malloc.h>

#include "memif_burst.h"
#include "memif_devargs.h"
#include "memif_ethdev.h"
#include "memif_log.h"
#include "memif_port.h"
#include "memif_secondary.h"

/*
 * Where ethdev will put the queues. A secondary process that attaches before the port is configured
 * would otherwise poll through a NULL pointer, as ethdev there looks for these tables just once.
 */
static int
make_queue_tables(struct rte_eth_dev_data *data)
{
	size_t size = RTE_MAX_QUEUES_PER_PORT * sizeof(data->rx_queues[0]);

	data->rx_queues = rte_zmalloc("memif queues", size, RTE_CACHE_LINE_SIZE);
	data->tx_queues = rte_zmalloc("memif queues", size, RTE_CACHE_LINE_SIZE);
	return data->rx_queues == NULL || data->tx_queues == NULL ? -ENOMEM : 0;
}

static int
create_port(struct rte_vdev_device *vdev, const struct mif_devargs *args)
{
	struct rte_eth_dev *dev;
	struct mif_port *port;
	int ret;

	/* A port that lies nowhere is to be near the thread that makes it. */
	if (vdev->device.numa_node == SOCKET_ID_ANY)
		vdev->device.numa_node = (int)rte_socket_id();
	dev = rte_eth_vdev_allocate(vdev, sizeof(struct mif_port));
	if (dev == NULL) {
		MIF_LOG(ERR, rte_vdev_device_name(vdev), "no memory for another port");
		return -ENOMEM;
	}
	port = mif_port_of(dev);
	dev->dev_ops = &mif_ethdev_ops;
	dev->data->promiscuous = 1;
	dev->data->all_multicast = 1;
	dev->data->dev_flags |= RTE_ETH_DEV_INTR_LSC | RTE_ETH_DEV_AUTOFILL_QUEUE_XSTATS;
	ret = mif_ethdev_set_mac(dev, &args->mac);
	if (ret == 0)
		ret = make_queue_tables(dev->data);
	if (ret == 0)
		ret = mif_port_open(port, dev, args);
	if (ret != 0) {
		rte_eth_dev_release_port(dev);
		return ret;
	}
	mif_burst_choose(dev, args);
	rte_eth_dev_probing_finish(dev);
	return 0;
}

static int
memif_probe(struct rte_vdev_device *vdev)
{
	const char *name = rte_vdev_device_name(vdev);
	struct mif_devargs args;
	int ret;

	if (rte_eal_process_type() != RTE_PROC_PRIMARY)
		return mif_secondary_probe(vdev);
	ret = mif_devargs_parse(&args, name, rte_vdev_device_args(vdev));
	return ret != 0 ? ret : create_port(vdev, &args);
}

static int
memif_remove(struct rte_vdev_device *vdev)
{
	struct rte_eth_dev *dev = rte_eth_dev_allocated(rte_vdev_device_name(vdev));

	return dev == NULL ? 0 : rte_eth_dev_close(dev->data->port_id);
}

static struct rte_vdev_driver memif_driver = {
	.probe = memif_probe,
	.remove = memif_remove,
};

RTE_PMD_REGISTER_VDEV(net_memif, memif_driver);
RTE_PMD_REGISTER_PARAM_STRING(net_memif, MIF_DEVARGS_HELP);

/* What dpdk-pmdinfo.py looks for. DPDK's own build writes it by a script that no package has. */
static const char pmd_info[] __rte_used =
		"PMD_INFO_STRING= {\"name\" : \"net_memif\", \"params\" : \"" MIF_DEVARGS_HELP
		"\", \"pci_ids\" : []}";

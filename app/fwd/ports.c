/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <rte_dev.h>
#include <rte_errno.h>

#include "ethdev.h"
#include "links.h"
#include "ports.h"
#include "worker.h"

#define VHOST_NET "/dev/vhost-net"
#define DEVARGS 1024
#define POOL_CACHE 256

static int
find_network(struct fwd *fwd)
{
	struct fwd_port *port = &fwd->port[FWD_NET];
	unsigned int found = rte_eth_dev_count_avail();

	fwd->ports = 1;
	if (fwd->config.net != NULL) {
		snprintf(port->name, sizeof(port->name), "%s", fwd->config.net);
		if (rte_eth_dev_get_port_by_name(fwd->config.net, &port->id) == 0)
			return 0;
		fprintf(stderr, "%s: --net %s: EAL has made no port of this name\n", program_name,
				fwd->config.net);
		return -ENODEV;
	}
	if (found != 1) {
		fprintf(stderr, "%s: EAL has made %u ports: %s\n", program_name, found,
				found == 0 ? "give it the network's, by -a or --vdev, before the --" :
					     "say by --net which is the network's");
		return -ENODEV;
	}
	port->id = (uint16_t)rte_eth_find_next(0);
	return rte_eth_dev_get_name_by_port(port->id, port->name);
}

/* Makes a virtual device, and the place of its port. */
static int
create(struct fwd *fwd, const char *name, const char *args)
{
	struct fwd_port *port = &fwd->port[fwd->ports];
	int ret;

	snprintf(port->name, sizeof(port->name), "%s", name);
	ret = rte_eal_hotplug_add("vdev", name, args);
	if (ret != 0)
		return ethdev_complain(port->name, "cannot be made", ret);
	port->created = true;
	fwd->ports++;
	ret = rte_eth_dev_get_port_by_name(name, &port->id);
	return ret != 0 ? ethdev_complain(port->name, "made, but there is no port", ret) : 0;
}

static int
create_memifs(struct fwd *fwd)
{
	const struct config *config = &fwd->config;
	char name[RTE_ETH_NAME_MAX_LEN], args[DEVARGS];
	const char *socket;
	int length, ret;

	for (unsigned int i = 0; i < config->memifs; i++) {
		snprintf(name, sizeof(name), "net_memif_fwd%u", i);
		socket = config->socket[i % config->sockets];
		length = snprintf(args, sizeof(args),
				"role=%s,id=%u,socket=%s,socket-abstract=%s,rsize=%u,bsize=%u%s%s",
				config->server ? "server" : "client", i / config->sockets, socket,
				socket[0] == '@' ? "yes" : "no", (unsigned int)config->rsize,
				(unsigned int)config->bsize, config->memif_args != NULL ? "," : "",
				config->memif_args != NULL ? config->memif_args : "");
		if (length >= (int)sizeof(args))
			return -E2BIG;
		ret = create(fwd, name, args);
		if (ret != 0)
			return ret;
	}
	return 0;
}

/* Which driver makes the kernel's interface: what was asked for, or what the host has. */
static int
choose_kernel(enum kernel_driver *driver)
{
	int error = access(VHOST_NET, R_OK | W_OK) == 0 ? 0 : errno;

	if (*driver == KERNEL_AUTO)
		*driver = error == 0 ? KERNEL_VIRTIO : KERNEL_TAP;
	if (*driver != KERNEL_VIRTIO || error == 0)
		return 0;
	fprintf(stderr,
			"%s: --kernel virtio: " VHOST_NET
			": %s: load the module vhost_net, or take --kernel tap\n",
			program_name, strerror(error));
	return -error;
}

static int
create_kernel(struct fwd *fwd)
{
	enum kernel_driver driver = fwd->config.kernel;
	const char *interface = fwd->config.kernel_name;
	char mac[RTE_ETHER_ADDR_FMT_SIZE], args[DEVARGS];
	struct rte_ether_addr address;
	int ret;

	if (driver == KERNEL_NONE)
		return 0;
	if (if_nametoindex(interface) != 0) {
		fprintf(stderr, "%s: --kernel-name %s: there is an interface of this name\n",
				program_name, interface);
		return -EEXIST;
	}
	ret = rte_eth_macaddr_get(fwd->port[FWD_NET].id, &address);
	if (ret != 0)
		return ethdev_complain(fwd->port[FWD_NET].name, "has no MAC address", ret);
	rte_ether_format_addr(mac, sizeof(mac), &address);
	ret = choose_kernel(&driver);
	if (ret != 0)
		return ret;
	fwd->kernel = fwd->ports;
	if (driver == KERNEL_TAP) {
		snprintf(args, sizeof(args), "iface=%s,mac=%s", interface, mac);
		return create(fwd, "net_tap_fwd", args);
	}
	snprintf(args, sizeof(args), "path=" VHOST_NET ",queues=1,queue_size=1024,iface=%s,mac=%s",
			interface, mac);
	return create(fwd, "net_virtio_user_fwd", args);
}

static int
make_pool(struct fwd *fwd)
{
	uint64_t mbufs = fwd->config.mbufs;

	/* In each port's queues, in the bursts that gather, in the caches. */
	if (mbufs == 0)
		mbufs = fwd->ports * RTE_MAX(fwd->workers, fwd->config.memif_queues) *
						(fwd->config.descriptors * 2 + OUTBOX) +
				fwd->workers * POOL_CACHE * 2 + 4096;
	fwd->pool = rte_pktmbuf_pool_create("fwd", (unsigned int)mbufs, POOL_CACHE, 0,
			RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (fwd->pool != NULL)
		return 0;
	fprintf(stderr, "%s: no memory for %lu packet buffers: %s\n", program_name,
			(unsigned long)mbufs, rte_strerror(rte_errno));
	return -ENOMEM;
}

/* Fewer queues than workers: these take turns. */
static int
make_tx_locks(struct fwd_port *port, unsigned int workers)
{
	if (port->queues >= workers)
		return 0;
	port->tx_lock = calloc(port->queues, sizeof(*port->tx_lock));
	if (port->tx_lock == NULL)
		return ethdev_complain(port->name, "no memory", -ENOMEM);
	for (uint16_t q = 0; q < port->queues; q++)
		rte_spinlock_init(&port->tx_lock[q]);
	return 0;
}

static uint16_t
number_of_queues(const struct fwd *fwd, unsigned int place, const struct rte_eth_dev_info *info)
{
	uint64_t queues = 1; /* the kernel's interface is made with one */

	if (place == FWD_NET)
		queues = fwd->config.queues != 0 ? fwd->config.queues : fwd->workers;
	else if (fwd_is_memif(fwd, place))
		queues = fwd->config.memif_queues;
	queues = RTE_MIN(queues, (uint64_t)info->max_rx_queues);
	return (uint16_t)RTE_MIN(queues, (uint64_t)info->max_tx_queues);
}

static int
configure(struct fwd *fwd, unsigned int place)
{
	struct fwd_port *port = &fwd->port[place];
	struct rte_eth_dev_info info;
	struct rte_eth_conf conf = { 0 };
	int ret = rte_eth_dev_info_get(port->id, &info);

	if (ret != 0)
		return ethdev_complain(port->name, "no information about the port", ret);
	port->queues = number_of_queues(fwd, place, &info);
	conf.rxmode.offloads = RTE_ETH_RX_OFFLOAD_SCATTER & info.rx_offload_capa;
	conf.txmode.offloads = RTE_ETH_TX_OFFLOAD_MULTI_SEGS & info.tx_offload_capa;
	conf.intr_conf.lsc = fwd_is_memif(fwd, place);
	if (place == FWD_NET && port->queues > 1) {
		conf.rx_adv_conf.rss_conf.rss_hf = (RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP |
								   RTE_ETH_RSS_TCP) &
				info.flow_type_rss_offloads;
		if (conf.rx_adv_conf.rss_conf.rss_hf != 0)
			conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
	}
	ret = rte_eth_dev_configure(port->id, port->queues, port->queues, &conf);
	if (ret != 0)
		return ethdev_complain(port->name, "cannot configure the port", ret);
	port->configured = true;
	ret = make_tx_locks(port, fwd->workers);
	if (ret != 0)
		return ret;
	return ethdev_set_up_queues(port->id, port->name, port->queues,
			(uint16_t)fwd->config.descriptors, fwd->pool);
}

static int
start(struct fwd *fwd, unsigned int place)
{
	struct fwd_port *port = &fwd->port[place];
	int ret = rte_eth_dev_start(port->id);

	if (ret != 0)
		return ethdev_complain(port->name, "cannot start the port", ret);
	port->started = true;
	/* What the kernel is to answer comes to its MAC address, or to groups. */
	if (place == FWD_NET && fwd->kernel != 0 && rte_eth_allmulticast_get(port->id) == 0)
		port->allmulticast = rte_eth_allmulticast_enable(port->id) == 0;
	return 0;
}

int
ports_open(struct fwd *fwd)
{
	int ret = find_network(fwd);

	if (ret == 0)
		ret = create_memifs(fwd);
	if (ret == 0)
		ret = create_kernel(fwd);
	if (ret == 0)
		ret = make_pool(fwd);
	for (unsigned int place = 0; ret == 0 && place < fwd->ports; place++)
		ret = configure(fwd, place);
	if (ret == 0)
		ret = links_watch(fwd);
	for (unsigned int place = 0; ret == 0 && place < fwd->ports; place++)
		ret = start(fwd, place);
	if (ret == 0)
		links_look(fwd);
	return ret;
}

static void
close_port(struct fwd_port *port)
{
	int ret;

	if (port->allmulticast)
		rte_eth_allmulticast_disable(port->id);
	if (port->started)
		rte_eth_dev_stop(port->id);
	if (port->created) {
		ret = rte_eal_hotplug_remove("vdev", port->name);
		if (ret != 0)
			ethdev_complain(port->name, "cannot be removed", ret);
	} else if (port->configured) {
		rte_eth_dev_close(port->id);
	}
	free(port->tx_lock);
}

void
ports_close(struct fwd *fwd)
{
	/* The last first: memif and kernel before the network. */
	while (fwd->ports > 0)
		close_port(&fwd->port[--fwd->ports]);
	rte_mempool_free(fwd->pool);
}

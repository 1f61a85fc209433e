/* SPDX-License-Identifier: BSD-3-Clause */

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>

#include "port.h"

static int
complain(const char *what, int error)
{
	fprintf(stderr, "mif-traffic: %s: %s\n", what, rte_strerror(error < 0 ? -error : error));
	return error < 0 ? error : -EIO;
}

/* Which driver file serves the port: its name alone does not tell two drivers apart. */
static const char *
burst_object(uint16_t port_id)
{
	union {
		eth_rx_burst_t function;
		const void *address;
	} burst = { .function = rte_eth_fp_ops[port_id].rx_pkt_burst };
	Dl_info info;

	return dladdr(burst.address, &info) && info.dli_fname ? info.dli_fname : "unknown";
}

static int
configure(struct port *port, const struct options *opt, const struct rte_eth_dev_info *info)
{
	struct rte_eth_conf conf = { 0 };

	/* Offloads that a driver does not name may still be its normal way of working. */
	conf.txmode.offloads = RTE_ETH_TX_OFFLOAD_MULTI_SEGS & info->tx_offload_capa;
	if (opt->rx_scatter)
		conf.rxmode.offloads = RTE_ETH_RX_OFFLOAD_SCATTER & info->rx_offload_capa;
	if (opt->mtu)
		conf.rxmode.mtu = opt->mtu;
	return rte_eth_dev_configure(port->id, opt->rxq, opt->txq, &conf);
}

static int
set_up_queues(struct port *port, const struct options *opt, struct rte_mempool *rx_pool)
{
	uint16_t nb_rxd = opt->nb_desc, nb_txd = opt->nb_desc, q;
	int ret;

	ret = rte_eth_dev_adjust_nb_rx_tx_desc(port->id, &nb_rxd, &nb_txd);
	if (ret < 0)
		return complain("cannot adjust the descriptor numbers", ret);
	for (q = 0; q < opt->rxq; q++) {
		ret = rte_eth_rx_queue_setup(port->id, q, nb_rxd, SOCKET_ID_ANY, NULL, rx_pool);
		if (ret < 0)
			return complain("cannot set up a receive queue", ret);
	}
	for (q = 0; q < opt->txq; q++) {
		ret = rte_eth_tx_queue_setup(port->id, q, nb_txd, SOCKET_ID_ANY, NULL);
		if (ret < 0)
			return complain("cannot set up a transmit queue", ret);
	}
	return 0;
}

/* A secondary process finds the port as the primary has started it. */
static int
find_started(struct port *port, const struct options *opt, const struct rte_eth_dev_info *info)
{
	port->configured = true;
	port->burst_object = burst_object(port->id);
	if (opt->rxq != info->nb_rx_queues || opt->txq != info->nb_tx_queues)
		return complain("the primary has set up other numbers of queues", -EINVAL);
	return 0;
}

int
port_start(struct port *port, const struct options *opt, struct rte_mempool *rx_pool)
{
	struct rte_eth_dev_info info;
	int ret;

	memset(port, 0, sizeof(*port));
	if (opt->port_name) {
		ret = rte_eth_dev_get_port_by_name(opt->port_name, &port->id);
		if (ret < 0)
			return complain(opt->port_name, ret);
	} else if (!rte_eth_dev_is_valid_port(0)) {
		return complain("no port: is there a --vdev?", -ENODEV);
	}
	ret = rte_eth_dev_info_get(port->id, &info);
	if (ret < 0)
		return complain("no information about the port", ret);
	port->driver_name = info.driver_name;
	if (rte_eal_process_type() != RTE_PROC_PRIMARY)
		return find_started(port, opt, &info);
	ret = configure(port, opt, &info);
	if (ret < 0)
		return complain("cannot configure the port", ret);
	port->configured = true;
	ret = set_up_queues(port, opt, rx_pool);
	if (ret < 0)
		return ret;
	ret = rte_eth_dev_start(port->id);
	if (ret < 0)
		return complain("cannot start the port", ret);
	port->started = true;
	port->burst_object = burst_object(port->id);
	return 0;
}

bool
port_link_up(const struct port *port)
{
	struct rte_eth_link link = { 0 };

	return rte_eth_link_get_nowait(port->id, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

static int
read_xstats(const struct port *port, struct port_snapshot *snap)
{
	int n, ret;

	n = rte_eth_xstats_get_names(port->id, NULL, 0);
	if (n < 0)
		return complain("no extended counters", n);
	snap->xstat_names = calloc(n + 1, sizeof(*snap->xstat_names));
	snap->xstats = calloc(n + 1, sizeof(*snap->xstats));
	if (!snap->xstat_names || !snap->xstats)
		return complain("extended counters", -ENOMEM);
	ret = rte_eth_xstats_get_names(port->id, snap->xstat_names, n);
	if (ret != n)
		return complain("names of the extended counters", ret < 0 ? ret : -EIO);
	ret = rte_eth_xstats_get(port->id, snap->xstats, n);
	if (ret != n)
		return complain("extended counters", ret < 0 ? ret : -EIO);
	snap->n_xstats = n;
	return 0;
}

int
port_snapshot(const struct port *port, struct port_snapshot *snap)
{
	int ret;

	memset(snap, 0, sizeof(*snap));
	ret = rte_eth_stats_get(port->id, &snap->stats);
	if (ret < 0)
		return complain("no counters", ret);
	ret = rte_eth_link_get_nowait(port->id, &snap->link);
	if (ret < 0)
		return complain("no link status", ret);
	return read_xstats(port, snap);
}

void
port_snapshot_free(struct port_snapshot *snap)
{
	free(snap->xstats);
	free(snap->xstat_names);
	memset(snap, 0, sizeof(*snap));
}

int
port_stop(struct port *port)
{
	int ret;

	if (!port->started)
		return 0;
	port->started = false;
	ret = rte_eth_dev_stop(port->id);
	return ret < 0 ? complain("cannot stop the port", ret) : 0;
}

int
port_close(struct port *port)
{
	int failed, ret;

	failed = port_stop(port);
	if (!port->configured)
		return failed;
	port->configured = false;
	ret = rte_eth_dev_close(port->id);
	return ret < 0 ? complain("cannot close the port", ret) : failed;
}

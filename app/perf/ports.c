/* SPDX-License-Identifier: BSD-3-Clause */

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <rte_cycles.h>
#include <rte_errno.h>

#include "ethdev.h"
#include "ports.h"
#include "stop.h"

/* How often a link that has to come up is looked at. */
#define LINK_PERIOD_US 10000

/* Names do not tell the drivers apart: the stock one has the name of ours. */
static const char *
burst_object(uint16_t id)
{
	union {
		eth_rx_burst_t function;
		const void *address;
	} burst = { .function = rte_eth_fp_ops[id].rx_pkt_burst };
	Dl_info info;

	return dladdr(burst.address, &info) != 0 && info.dli_fname != NULL ? info.dli_fname : "?";
}

static int
configure(struct port *port, const struct ports_cfg *cfg)
{
	struct rte_eth_conf conf = { .intr_conf.rxq = cfg->interrupts };
	struct rte_eth_dev_info info;
	int ret = rte_eth_dev_info_get(port->id, &info);

	if (ret != 0)
		return ethdev_complain(port->name, "no information about the port", ret);
	port->driver = info.driver_name;
	if (cfg->queues > info.max_rx_queues || cfg->queues > info.max_tx_queues) {
		fprintf(stderr, "dpdk-memif-perf: %s: has %u receive and %u transmit queues at most\n",
				port->name, info.max_rx_queues, info.max_tx_queues);
		return -EINVAL;
	}
	if (cfg->fast_free)
		conf.txmode.offloads = RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE & info.tx_offload_capa;
	/* Up to that length, with a tag, every driver takes what it takes by default. */
	if (cfg->frame > RTE_ETHER_MAX_LEN)
		conf.rxmode.mtu = cfg->frame - RTE_ETHER_HDR_LEN;
	ret = rte_eth_dev_configure(port->id, cfg->queues, cfg->queues, &conf);
	if (ret != 0)
		return ethdev_complain(port->name, "cannot configure the port", ret);
	port->configured = true;
	return ethdev_set_up_queues(port->id, port->name, cfg->queues, cfg->descriptors, cfg->pool);
}

int
ports_open(struct ports *ports, const struct ports_cfg *cfg)
{
	struct port *port;
	uint16_t id;
	int ret;

	memset(ports, 0, sizeof(*ports));
	RTE_ETH_FOREACH_DEV(id) {
		port = &ports->port[ports->count++];
		port->id = id;
		port->object = "?";
		if (rte_eth_dev_get_name_by_port(id, port->name) != 0)
			snprintf(port->name, sizeof(port->name), "port %u", id);
		ret = configure(port, cfg);
		if (ret != 0)
			return ret;
	}
	if (ports->count != 0)
		return 0;
	fprintf(stderr,
			"dpdk-memif-perf: there is no port: add an EAL option such as "
			"--vdev=net_memif0,role=client, in front of the --\n");
	return -ENODEV;
}

int
port_start(struct port *port)
{
	int ret = rte_eth_dev_start(port->id);

	if (ret != 0)
		return ethdev_complain(port->name, "cannot start the port", ret);
	port->started = true;
	port->object = burst_object(port->id);
	return 0;
}

int
ports_start(struct ports *ports)
{
	int ret;

	for (uint16_t i = 0; i < ports->count; i++) {
		ret = port_start(&ports->port[i]);
		if (ret != 0)
			return ret;
		printf("port %u: %s, driver %s (%s)\n", ports->port[i].id, ports->port[i].name,
				ports->port[i].driver, ports->port[i].object);
	}
	return 0;
}

int
port_stop(struct port *port)
{
	int ret;

	if (!port->started)
		return 0;
	port->started = false;
	ret = rte_eth_dev_stop(port->id);
	return ret != 0 ? ethdev_complain(port->name, "cannot stop the port", ret) : 0;
}

uint16_t
ports_up(const struct ports *ports)
{
	uint16_t up = 0;

	for (uint16_t i = 0; i < ports->count; i++)
		up = (uint16_t)(up + ethdev_link_up(ports->port[i].id));
	return up;
}

int
ports_wait_up(const struct ports *ports, double seconds)
{
	uint64_t begin = rte_rdtsc();
	uint16_t up;

	for (;;) {
		up = ports_up(ports);
		if (up == ports->count)
			break;
		if (stop_wanted())
			return -EINTR;
		if ((double)(rte_rdtsc() - begin) > seconds * (double)rte_get_tsc_hz()) {
			fprintf(stderr,
					"dpdk-memif-perf: %u of %u links are up after %g s: is the "
					"other end running, with the same socket and id?\n",
					up, ports->count, seconds);
			return -ETIMEDOUT;
		}
		usleep(LINK_PERIOD_US);
	}
	printf("link up\n");
	return 0;
}

void
ports_close(struct ports *ports)
{
	for (uint16_t i = 0; i < ports->count; i++) {
		port_stop(&ports->port[i]);
		if (ports->port[i].configured)
			rte_eth_dev_close(ports->port[i].id);
		ports->port[i].configured = false;
	}
}

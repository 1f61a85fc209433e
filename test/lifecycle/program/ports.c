/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_dev.h>
#include <rte_ethdev.h>

#include "poller.h"
#include "ports.h"

#define RING 512

struct port {
	char devargs[512];
	struct rte_device *device; /* NULL when there is none */
	uint16_t queues;
	bool started;
};

static struct port ports[RTE_MAX_ETHPORTS];
static struct rte_mempool *pool;

void
ports_init(struct rte_mempool *mbufs)
{
	pool = mbufs;
}

int
ports_attach(const char *devargs, uint16_t *port)
{
	struct rte_eth_dev_info info;
	char name[RTE_ETH_NAME_MAX_LEN];
	int ret;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(devargs, ","), devargs);
	ret = rte_dev_probe(devargs);
	if (ret == 0)
		ret = rte_eth_dev_get_port_by_name(name, port);
	if (ret == 0)
		ret = rte_eth_dev_info_get(*port, &info);
	if (ret != 0)
		return ret;
	ports[*port] = (struct port){ .device = info.device };
	snprintf(ports[*port].devargs, sizeof(ports[*port].devargs), "%s", devargs);
	return 0;
}

int
ports_setup(uint16_t port, uint16_t queues)
{
	const struct rte_eth_conf conf = { .intr_conf.lsc = 1 };
	int ret = rte_eth_dev_configure(port, queues, queues, &conf);

	for (uint16_t i = 0; ret == 0 && i < queues; i++) {
		ret = rte_eth_rx_queue_setup(port, i, RING, SOCKET_ID_ANY, NULL, pool);
		if (ret == 0)
			ret = rte_eth_tx_queue_setup(port, i, RING, SOCKET_ID_ANY, NULL);
	}
	if (ret == 0)
		ports[port].queues = queues;
	return ret;
}

int
ports_start(uint16_t port)
{
	int ret = rte_eth_dev_start(port);

	if (ret != 0)
		return ret;
	ports[port].started = true;
	poller_add(port, 0, ports[port].queues);
	return 0;
}

int
ports_stop(uint16_t port)
{
	poller_remove(port);
	ports[port].started = false;
	return rte_eth_dev_stop(port);
}

int
ports_close(uint16_t port)
{
	int ret = ports[port].started ? ports_stop(port) : 0;

	return ret == 0 ? rte_eth_dev_close(port) : ret;
}

int
ports_remove(uint16_t port)
{
	int ret = ports[port].device == NULL ? -ENODEV : rte_dev_remove(ports[port].device);

	if (ret == 0)
		ports[port].device = NULL;
	return ret;
}

int
ports_detach(uint16_t port)
{
	int ret = ports[port].started ? ports_stop(port) : 0;

	return ret == 0 ? ports_remove(port) : ret;
}

static void
wait_a_little(void)
{
	/* Up to 2 ms: from "has not begun to connect" to "has moved packets". */
	usleep((useconds_t)(random() % 2000));
}

int
ports_restart_often(uint16_t port, unsigned int times)
{
	int ret = 0;

	for (unsigned int i = 0; ret == 0 && i < times; i++) {
		ret = ports_stop(port);
		if (i % 2 == 0)
			wait_a_little();
		if (ret == 0)
			ret = ports_start(port);
		wait_a_little();
	}
	return ret;
}

int
ports_reattach_often(uint16_t port, unsigned int times)
{
	const struct port before = ports[port];
	int ret = 0;

	for (unsigned int i = 0; ret == 0 && i < times; i++) {
		if (i % 2 == 0)
			ret = ports_close(port);
		if (ret == 0)
			ret = ports_detach(port);
		if (ret == 0)
			ret = ports_attach(before.devargs, &port);
		if (ret == 0)
			ret = ports_setup(port, before.queues);
		if (ret == 0)
			ret = ports_start(port);
		wait_a_little();
	}
	return ret;
}

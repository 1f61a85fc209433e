/* SPDX-License-Identifier: BSD-3-Clause */

#include <stdio.h>
#include <rte_errno.h>
#include <rte_ethdev.h>

#include "ethdev.h"
#include "options.h"

int
ethdev_complain(const char *name, const char *what, int error)
{
	fprintf(stderr, "%s: %s: %s: %s\n", program_name, name, what, rte_strerror(-error));
	return error;
}

int
ethdev_set_up_queues(uint16_t port, const char *name, uint16_t queues, uint16_t descriptors,
		struct rte_mempool *pool)
{
	uint16_t rxd = descriptors, txd = descriptors;
	int ret = rte_eth_dev_adjust_nb_rx_tx_desc(port, &rxd, &txd);

	if (ret != 0)
		return ethdev_complain(name, "cannot adjust the number of descriptors", ret);
	for (uint16_t q = 0; q < queues; q++) {
		ret = rte_eth_rx_queue_setup(port, q, rxd, SOCKET_ID_ANY, NULL, pool);
		if (ret != 0)
			return ethdev_complain(name, "cannot set up a receive queue", ret);
		ret = rte_eth_tx_queue_setup(port, q, txd, SOCKET_ID_ANY, NULL);
		if (ret != 0)
			return ethdev_complain(name, "cannot set up a transmit queue", ret);
	}
	return 0;
}

bool
ethdev_link_up(uint16_t port)
{
	struct rte_eth_link link = { 0 };

	return rte_eth_link_get_nowait(port, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

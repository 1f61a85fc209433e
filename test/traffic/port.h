/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRAFFIC_PORT_H
#define TRAFFIC_PORT_H

/*
 * Life of the ethdev port: found, configured, started, read out, stopped, closed.
 */

#include <stdbool.h>
#include <stdint.h>

#include <rte_ethdev.h>
#include <rte_mempool.h>

#include "options.h"

/** What the port says about itself at one moment. */
struct port_snapshot {
	struct rte_eth_stats stats;
	struct rte_eth_link link;
	struct rte_eth_xstat *xstats;
	struct rte_eth_xstat_name *xstat_names;
	int n_xstats;
};

struct port {
	uint16_t id;
	bool configured;
	bool started;
	const char *driver_name;
	const char *burst_object; /**< file that the rx burst function comes from */
};

/**
 * Finds, configures and starts the port.
 *
 * @return 0, or negative after a message on stderr
 */
int port_start(struct port *port, const struct options *opt, struct rte_mempool *rx_pool);

bool port_link_up(const struct port *port);

/**
 * Reads counters and link.
 *
 * @return 0, or negative after a message on stderr
 */
int port_snapshot(const struct port *port, struct port_snapshot *snap);

void port_snapshot_free(struct port_snapshot *snap);

/**
 * Stops the port, if it was started.
 *
 * @return 0, or negative after a message on stderr
 */
int port_stop(struct port *port);

/**
 * Stops and closes; a port that never started is only closed.
 *
 * @return 0, or negative after a message on stderr
 */
int port_close(struct port *port);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * The Ethernet ports of the process, all used alike.
 */

#ifndef PERF_PORTS_H
#define PERF_PORTS_H

#include <stdbool.h>
#include <stdint.h>
#include <rte_ethdev.h>
#include <rte_mempool.h>

struct port {
	uint16_t id;
	bool configured;
	bool started;
	const char *driver; /**< its name */
	const char *object; /**< the file that its burst functions are in */
	char name[RTE_ETH_NAME_MAX_LEN];
};

struct ports {
	uint16_t count;
	struct port port[RTE_MAX_ETHPORTS];
};

struct ports_cfg {
	uint16_t queues; /**< pairs of queues of each port */
	uint16_t descriptors;
	uint16_t frame;		  /**< bytes of the longest packet */
	bool interrupts;	  /**< of receive queues */
	bool fast_free;		  /**< packets to send have one pool and one owner */
	struct rte_mempool *pool; /**< what is received comes from here */
};

/**
 * Find and configure all ports, without starting them.
 *
 * @return 0 or negative errno, after a message on stderr; ports_close() has to follow in any case
 */
int ports_open(struct ports *ports, const struct ports_cfg *cfg);

/** Start all ports. @return 0 or negative errno, after a message on stderr */
int ports_start(struct ports *ports);

/** Start one port. @return 0 or negative errno, after a message on stderr */
int port_start(struct port *port);

/** Stop one port, when it is started. @return 0 or negative errno, after a message on stderr */
int port_stop(struct port *port);

/** Number of ports whose link is up. */
uint16_t ports_up(const struct ports *ports);

/**
 * Wait until all links are up, or stop_wanted().
 *
 * @return 0; -ETIMEDOUT after a message on stderr; -EINTR
 */
int ports_wait_up(const struct ports *ports, double seconds);

void ports_close(struct ports *ports);

#endif /* PERF_PORTS_H */

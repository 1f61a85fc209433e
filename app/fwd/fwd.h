/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * What the parts of dpdk-memif-fwd share: its ports, and where flows go.
 */

#ifndef FWD_FWD_H
#define FWD_FWD_H

#include <rte_ethdev.h>
#include <rte_spinlock.h>

#include "config.h"
#include "steer.h"

/* Places of the ports: the network's, the memif ones, the kernel's if there is one. */
#define FWD_NET 0u
#define FWD_MEMIF 1u
#define FWD_PORTS (STEER_PORTS + 2)

struct fwd_port {
	char name[RTE_ETH_NAME_MAX_LEN]; /**< of the ethdev */
	uint16_t id;
	uint16_t queues;	 /**< pairs */
	rte_spinlock_t *tx_lock; /**< per queue; NULL when each worker has one of its own */
	bool created;		 /**< by us, so that we remove it */
	bool configured, started, allmulticast;
};

struct worker;

struct fwd {
	struct config config;
	struct fwd_port port[FWD_PORTS];
	unsigned int ports;
	unsigned int kernel; /**< place of the kernel's port, 0: none */
	struct rte_mempool *pool;
	struct steer steer;
	struct worker *worker;
	unsigned int workers;
};

static inline bool
fwd_is_memif(const struct fwd *fwd, unsigned int place)
{
	return place >= FWD_MEMIF && place < FWD_MEMIF + fwd->config.memifs;
}

/** The name of a place, for people: "network", "memif 0", "kernel". */
static inline void
fwd_label(const struct fwd *fwd, unsigned int place, char *text, size_t size)
{
	if (place == FWD_NET)
		snprintf(text, size, "network");
	else if (fwd_is_memif(fwd, place))
		snprintf(text, size, "memif %u", place - FWD_MEMIF);
	else
		snprintf(text, size, "kernel");
}

#endif /* FWD_FWD_H */

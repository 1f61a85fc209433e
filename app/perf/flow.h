/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * Moving packets: each flow is one pair of queues of one port, and belongs to one lcore.
 */

#ifndef PERF_FLOW_H
#define PERF_FLOW_H

#include <stdbool.h>
#include <stdint.h>
#include <rte_mempool.h>

#include "sizes.h"

#define FLOW_BURST_MAX 512

enum flow_mode {
	FLOW_TX,   /**< make packets and send them */
	FLOW_RX,   /**< receive packets and drop them */
	FLOW_BOTH, /**< each by itself, on the same queues */
	FLOW_IO,   /**< send back what is received */
};

/** What a flow has counted. Written by its lcore, read by the one that reports. */
struct flow_count {
	uint64_t tx; /**< packets that the driver has taken */
	uint64_t rx; /**< packets received */
	uint64_t rx_bytes;
	uint64_t rx_polls;  /**< calls of rx_burst */
	uint64_t rx_empty;  /**< of those, without a packet */
	uint64_t tx_bursts; /**< calls of tx_burst */
	uint64_t tx_short;  /**< of those, with packets that the driver did not take */
	uint64_t dropped;   /**< packets to send back that the driver did not take */
	uint64_t no_mbuf;   /**< times that there was no packet to fill */
	uint64_t lost;	    /**< numbers that were jumped over */
	uint64_t repeated;  /**< packets with a number below the one that is due */
	uint64_t broken;    /**< packets that are not what was sent */
};

struct flow {
	struct flow_count count;
	uint16_t port;
	uint16_t queue;
	uint16_t first;	  /**< of pending, to be offered next */
	uint16_t waiting; /**< in pending, built and not taken yet */
	bool begun;	  /**< a number has come in */
	uint64_t built;
	uint64_t due; /**< the number that has to come next */
	struct rte_mbuf *pending[FLOW_BURST_MAX];
} __attribute__((aligned(128))); /* lines are fetched in pairs */

struct flow_cfg {
	enum flow_mode mode;
	bool check; /**< number the packets sent, check the numbers of those received */
	uint16_t burst;
	uint16_t inject; /**< FLOW_IO: bursts of each flow, for the ends to toss to each other */
	const struct sizes *sizes;
	struct rte_mempool *pool; /**< packets to send */
};

/** The flows of one lcore. */
struct flow_worker {
	const struct flow_cfg *cfg;
	struct flow **flow;
	unsigned int count;
};

/** Body of an lcore: serves its flows until stop_wanted(). @param arg  struct flow_worker */
int flow_run(void *arg);

/** Add what a flow has counted so far. */
void flow_add(struct flow_count *sum, const struct flow *flow);

/** Give back what was built and not sent. */
void flow_drop_pending(struct flow *flow);

#endif /* PERF_FLOW_H */

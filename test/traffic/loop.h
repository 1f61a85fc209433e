/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRAFFIC_LOOP_H
#define TRAFFIC_LOOP_H

/*
 * The polling loop: all queues of the port in turn, on the main lcore, until all that was wanted
 * has happened.
 */

#include <stdbool.h>
#include <stdint.h>

#include "mbufs.h"
#include "options.h"
#include "port.h"
#include "receiver.h"
#include "sender.h"

struct traffic {
	const struct options *opt;
	const struct port *port;
	struct sender *senders; /**< opt->txq of them */
	struct receiver *receiver;
	struct rte_mbuf *pkts[MAX_BURST];

	uint64_t start;	   /**< when the loop began, in timer cycles */
	uint64_t last_rx;  /**< when the last packet came in */
	uint64_t link_up;  /**< when the link was first seen up, 0: not yet */
	uint64_t finished; /**< when sending and receiving were done, 0: not yet */
	bool sending;	   /**< the link was up long enough */
	bool stopped;	   /**< told so on stdin */
	bool link_timeout;
	bool timeout;
};

/**
 * Runs until sending and receiving are done (and, with --wait-stdin, until told), or time is up.
 * Says "mif-traffic: done" on stdout when done.
 */
void loop_run(struct traffic *t);

/** Reads stdin up to the end of a line, or its own end. */
void loop_read_line(void);

/** Seconds between two moments in timer cycles. */
double loop_seconds(uint64_t from, uint64_t to);

#endif

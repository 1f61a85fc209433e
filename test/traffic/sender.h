/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRAFFIC_SENDER_H
#define TRAFFIC_SENDER_H

/*
 * One tx queue: builds packets in sequence, offers them in bursts of the wanted sizes, keeps (or
 * frees) what the driver refuses.
 */

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#include "mbufs.h"
#include "options.h"

struct sender {
	const struct options *opt;
	struct mbuf_maker *maker;
	uint16_t port_id;
	uint16_t queue;
	uint64_t next_seq; /**< of the next packet to build */
	uint64_t sent;	   /**< packets that the driver took */
	uint64_t bytes;
	uint64_t refused; /**< packets that it did not take, each time */
	uint64_t bursts;
	uint64_t no_mbufs; /**< bursts cut short by an empty pool */
	uint16_t n_pending;
	struct rte_mbuf *pending[MAX_BURST];
};

void sender_init(struct sender *s, const struct options *opt, struct mbuf_maker *maker,
		uint16_t port_id, uint16_t queue);

/**
 * Offers one burst.
 *
 * @return packets that the driver took
 */
uint16_t sender_poll(struct sender *s);

/**
 * Sends packets of somebody else (echo) on this queue; those refused stay pending. Only when
 * n_pending is 0.
 *
 * @return packets that the driver took
 */
uint16_t sender_forward(struct sender *s, struct rte_mbuf **pkts, uint16_t n);

/** Offers the pending packets once more. */
uint16_t sender_flush(struct sender *s);

bool sender_done(const struct sender *s);

/** Frees what is still pending. */
void sender_drop(struct sender *s);

#endif

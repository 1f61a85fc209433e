/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRAFFIC_RECEIVER_H
#define TRAFFIC_RECEIVER_H

/*
 * Takes bursts from rx queues and checks every packet: its mbufs, its bytes, its number.
 */

#include <stdint.h>

#include <rte_mbuf.h>

#include "options.h"
#include "packet.h"
#include "tracker.h"

#define EXPLAIN_TEXT 200
#define PROBLEM_TEXT 240

struct receiver {
	const struct options *opt;
	uint16_t port_id;
	uint64_t packets; /**< all that came in, good or bad */
	uint64_t bytes;
	uint64_t verdicts[PACKET_N_VERDICTS];
	uint64_t wrong_seed;
	uint64_t bad_mbuf; /**< chain, length, port or reference count not as ethdev has it */
	uint16_t max_segs;
	uint64_t by_rxq[MAX_QUEUES];
	uint64_t bursts[MAX_QUEUES];
	struct tracker from[MAX_QUEUES]; /**< by queue of the sender */
	char problem[PROBLEM_TEXT];	 /**< the first bad packet, in words */

	struct rte_mbuf **held;
	uint32_t n_held;
	uint8_t scratch[PACKET_MAX_LEN];
};

/** @return 0, or -ENOMEM */
int receiver_init(struct receiver *r, const struct options *opt, uint16_t port_id);

/**
 * Receives one burst of @p queue and checks it. The caller owns the packets.
 *
 * @param pkts room for MAX_BURST
 * @return their number
 */
uint16_t receiver_poll(struct receiver *r, uint16_t queue, struct rte_mbuf **pkts);

/** Frees received packets, at once or after the --hold number of others. */
void receiver_release(struct receiver *r, struct rte_mbuf **pkts, uint16_t n);

/** Frees the held packets. */
void receiver_release_all(struct receiver *r);

/** Whether all expected packets are there; false when their number is not known. */
bool receiver_complete(const struct receiver *r);

void receiver_fini(struct receiver *r);

#endif

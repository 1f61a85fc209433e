/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * What a core does: takes bursts from its receive queues, and gathers them per port.
 */

#ifndef FWD_WORKER_H
#define FWD_WORKER_H

#include <rte_mbuf.h>

#include "count.h"
#include "fwd.h"

#define WORKER_BURST 32

/* Packets that wait per port and worker, when the port takes no more. */
#define OUTBOX 256

struct source {
	uint8_t place;
	uint16_t queue;
};

/** Packets for one port. */
struct outbox {
	uint16_t count;
	struct rte_mbuf *pkt[OUTBOX];
};

struct worker {
	struct fwd *fwd;
	unsigned int number; /**< its transmit queue, modulo those of the port */
	unsigned int sources;
	struct source *source;
	uint64_t flush_cycles;
	struct steer steer; /**< its copy */
	struct port_count count[FWD_PORTS];
	struct outbox out[FWD_PORTS];
} __rte_cache_aligned;

/**
 * Makes fwd->workers workers and shares the receive queues out evenly.
 *
 * @return 0 or negative errno, after a message on stderr
 */
int workers_make(struct fwd *fwd);

/** Begins to forward on all worker lcores. */
void workers_start(struct fwd *fwd);

/** Waits until they have ended, which stop_now() makes them do. */
void workers_end(void);

/** Frees them, with the packets that they hold. */
void workers_free(struct fwd *fwd);

/** Adds up what all workers count of a port. */
struct port_count workers_count(const struct fwd *fwd, unsigned int place);

#endif /* FWD_WORKER_H */

/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * The ports of the race test: pairs of a client and a server in one process, and what is done to
 * them. What DPDK says that an application must not do at the same time is kept apart by locks; all
 * else happens at once.
 */

#ifndef TSAN_PORTS_H
#define TSAN_PORTS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <rte_ethdev.h>
#include <rte_mempool.h>

#define PAIRS 3
#define PORTS (2 * PAIRS)
#define QUEUES 3
#define POLLERS 3

/** A place for a port, which comes and goes. */
struct port {
	char name[32];
	char socket[64];
	bool client;
	/** Written: it comes, goes, or changes its queues. Read: whatever needs it to be there. */
	pthread_rwlock_t life;
	/** Stopped, started, set up or down. */
	pthread_mutex_t state;
	/** A poller is in a burst of it. */
	pthread_mutex_t polled[POLLERS];
	bool attached, started;
	uint16_t id, rx_queues, tx_queues;
	int wait_fds[QUEUES]; /**< of receive interrupts */
};

/** What has happened, to see that something was tested. */
struct tally {
	atomic_ullong received, sent, link_events, restarts, attaches, interrupts, reads;
	atomic_ullong hang_ups, from_callback;
};

extern struct port ports[PORTS];
extern struct tally tally;

/** The pool of a poller: mbufs never change hands, so only what the driver does is in question. */
extern struct rte_mempool *pools[POLLERS];

/** Stop with a message when something does not hold that has to. */
#define CHECK(condition) check((condition), #condition, __FILE__, __LINE__)
void check(bool ok, const char *what, const char *file, int line);

/** Numbers that look random. */
uint32_t random_below(uint32_t *state, uint32_t limit);

/** Which poller does the receive (or transmit) bursts of a queue. */
unsigned int poller_of(const struct port *port, bool receive, uint16_t queue);

/** Names, sockets, locks, pools. */
void ports_init(void);

/** Keep the pollers away from a port, and let them in again. */
void ports_hold(struct port *port);
void ports_release(struct port *port);

/** From here on callbacks do nothing. */
void ports_calm_down(void);

/** Attach and start a port with queues by chance, or detach it. Life held for writing. */
void ports_attach(struct port *port, uint32_t *seed);
void ports_detach(struct port *port);

/** Stop it, change the number of its queues, start it. Life held for writing. */
void ports_reconfigure(struct port *port, uint32_t *seed);

/** Stop it and start it. Life held for reading, and the state. */
void ports_restart(struct port *port);

#endif /* TSAN_PORTS_H */

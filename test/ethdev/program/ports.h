/* SPDX-License-Identifier: BSD-3-Clause */

/** @file The two ports of a case: both ends of one connection, in one process. */

#ifndef PORTS_H
#define PORTS_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#define MBUF_ROOM 2048

/** How to set up a port; all zero is one queue of each kind and no offloads. */
struct setup {
	uint16_t rxq, txq;
	uint64_t rx_offloads;
	uint64_t tx_offloads; /**< beside multi-segment */
	uint16_t mtu;
	uint16_t nb_desc;
	uint16_t tx_free_thresh;
	struct rte_mempool *pool; /**< to receive into; NULL: mbufs */
	bool rx_interrupts;
	bool deferred; /**< queues start by themselves only */
};

/** One end. */
struct end {
	const char *role;
	char name[RTE_ETH_NAME_MAX_LEN];
	uint16_t id; /**< of the port */
	bool attached;
};

/** The one that is looked at, and its peer. */
struct pair {
	struct end port;
	struct end peer;
	char socket[64];
};

/** Make the mbufs; false after a message when there is no memory. */
bool ports_init(void);

extern struct rte_mempool *mbufs;

/**
 * Attach one end.
 *
 * @param options  devargs beside role and socket, beginning with a comma, or ""
 * @return 0 or a negative errno
 */
int end_attach(struct pair *pair, struct end *end, const char *options);

/** Configure it and set up its queues. */
int end_configure(const struct end *end, const struct setup *setup);

/** Close and remove it, if it is there. */
void end_detach(struct end *end);

/** Attach, configure and start both ends with these options, and wait for the link. */
int pair_up(struct pair *pair, const char *options, const struct setup *port_setup,
		const struct setup *peer_setup);

/** The same by role: the server with these options and this setup, the client with those. */
int pair_up_as(struct pair *pair, const char *server_options, const struct setup *server_setup,
		const char *client_options, const struct setup *client_setup);

/** Which end of the pair has this role. */
struct end *pair_end(struct pair *pair, const char *role);

/** The ports of the two roles. */
uint16_t server_of(struct pair *pair);
uint16_t client_of(struct pair *pair);

/** Close and remove both ends, those that are there. */
void pair_detach(struct pair *pair);

/** Wait until the link of both ends is as wanted; false when it takes too long. */
bool pair_wait_link(const struct pair *pair, bool up);

/** The same for one end, whose peer has gone. */
bool pair_wait_down(const struct end *end);

/** The slots of a ring: what rte_eth_rx_queue_info_get() and its tx counterpart say. */
uint16_t rx_slots(uint16_t port, uint16_t queue);
uint16_t tx_slots(uint16_t port, uint16_t queue);

/** Mbufs that are not in the pool. */
unsigned int mbufs_in_use(void);

/** A packet of as many mbufs as it takes, NULL when there are not that many. */
struct rte_mbuf *new_packet(struct rte_mempool *pool, uint32_t length);

/**
 * Send packets of so many bytes; each byte has a value of its own.
 *
 * @return how many the port has taken
 */
uint16_t send_packets(uint16_t port, uint16_t queue, uint16_t count, uint32_t length);

/** The same, in mbufs of this pool. */
uint16_t send_packets_of(struct rte_mempool *pool, uint16_t port, uint16_t queue, uint16_t count,
		uint32_t length);

/** Receive and free up to so many packets; their bytes must be those of send_packets(). */
uint16_t take_packets(uint16_t port, uint16_t queue, uint16_t count, uint32_t length);

/** Are these the bytes of a packet of send_packets() with this length? */
bool is_intact(const struct rte_mbuf *packet, uint32_t length);

/** The value of an extended counter; UINT64_MAX when there is none of that name. */
uint64_t xstat(uint16_t port, const char *name);

#endif /* PORTS_H */

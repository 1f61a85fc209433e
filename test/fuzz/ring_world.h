/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * One queue and one connection with one ring, for the real bursts, over memory of a hostile peer.
 *
 * It comes from the driver's own memif_link.c, but for the regions, which are made here: each stands
 * between inaccessible pages, and what its size leaves of its last page is poisoned for ASan. So no
 * access outside goes unseen.
 */

#ifndef RING_WORLD_H
#define RING_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include <ethdev_driver.h>

#include "fuzz.h"
#include "memif_ethdev.h"
#include "memif_link.h"
#include "memif_queue.h"
#include "memif_ring.h"

#define WORLD_REGIONS 4
#define WORLD_BURST_MAX 64
#define WORLD_MBUFS 1023 /* of each pool */

/** What an input chooses. */
struct world_cfg {
	enum mif_role role;
	enum mif_mode mode;
	bool zero_copy;
	bool exposed; /**< client with zero-copy: the server takes the pool's memory as a region */
	bool transmit;
	bool scatter;
	uint8_t log2;
	uint8_t pool;	      /**< of receive mbufs: which size */
	uint8_t simd;	      /**< width of vector instructions: which build of the bursts */
	uint16_t buffer_size; /**< client */
	uint16_t first;	      /**< both indices at the beginning */
	uint8_t seed;	      /**< of the first packet's bytes */
};

/** All there is. */
struct world {
	struct world_cfg cfg;
	struct rte_eth_dev dev; /**< its burst functions, and its queue as one for receive */
	struct mif_queue *queue;
	struct mif_link *link;
	struct mif_ring_end *end; /**< of the link */
	struct rte_mempool *pool; /**< of the packets of this direction */
	uint64_t seed;		  /**< of the next packet's bytes */
	uint32_t held;		  /**< mbufs of packets that the application keeps */
	uint32_t held_lent;	  /**< those of them that point to a slot */
};

extern struct world world;

/** Once: EAL, pools, memory. */
void world_init(void);

/** A new connection, its ring formatted, no fault, counters at zero. */
void world_start(const struct world_cfg *cfg);

/** Read a configuration. */
struct world_cfg world_read_cfg(struct fuzz_input *in);

/** A descriptor of the input: near what is right, or anything. */
struct mif_desc world_read_desc(struct fuzz_input *in);

/** Does this link not copy, as a client or as a server? */
static inline bool
world_is_zc_client(void)
{
	return world.end->zc != NULL;
}

static inline bool
world_lends(void)
{
	return world.end->loans != NULL;
}

/** Receive: slots that an honest peer may hand over at most, at the beginning of a burst. */
uint32_t world_slots(void);

/** Receive: bytes that a client takes from the server in a slot. */
uint32_t world_slot_room(uint16_t index);

/** Receive: where a server writes into a slot of a client's. */
uint8_t *world_slot_data(uint16_t index);

/** Where the peer's index lies, to be written. */
uint16_t *world_peer_index(void);

/** The index of a peer that has filled, or posted, so many slots; or emptied, of those in use. */
uint16_t world_honest_index(uint16_t slots);

/** The index of a peer that is as far as it can be. */
uint16_t world_farthest_index(void);

/** Is this an address in one of the regions? */
bool world_in_regions(const void *addr);

/** A region of the connection, also one that does not exist. */
struct mif_span world_region(uint16_t index);

/** A packet to transmit, of `segments` parts with lengths from the input; NULL without mbufs. */
struct rte_mbuf *world_packet(struct fuzz_input *in, unsigned int segments);

/**
 * The byte at a place of a packet that world_packet() has made with that seed: in ip mode most are
 * frames with IPv4 or IPv6, some with a VLAN tag, some with neither.
 */
uint8_t world_byte(uint64_t seed, uint64_t place);

/** mode=ip: bytes in front of its IP header, 0 if it has none; what is not sent. */
uint32_t world_l2(uint64_t seed, uint64_t length);

/** Bytes of a packet, by its segments. */
uint64_t world_length(const struct rte_mbuf *mbuf);

/** Keep received packets, as an application does, until the next connection or world_free_held(). */
void world_hold(struct rte_mbuf **mbufs, uint16_t count);

/** Free some of them, from the last one on. */
void world_free_held(uint32_t count);

/** Call the burst function of this role and direction; checks what holds whatever the peer does. */
uint16_t world_burst(struct rte_mbuf **mbufs, uint16_t count);

/** Free received packets, or those that were not sent; then no mbuf is missing but those that are held,
 * and those in the ring. */
void world_free(struct rte_mbuf **mbufs, uint16_t count);

#endif /* RING_WORLD_H */

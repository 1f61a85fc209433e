/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * A receive or transmit queue of a port, and this process's end of a ring.
 *
 * A queue lives from its set-up to its release and keeps counters. A ring end lives as long as one
 * connection, and stands behind the queue's gate.
 */

#ifndef MEMIF_QUEUE_H
#define MEMIF_QUEUE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <rte_common.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "memif_abi.h"
#include "memif_desc.h"
#include "memif_gate.h"
#include "memif_intr.h"
#include "memif_ip.h"
#include "memif_lag.h"
#include "memif_lock.h"
#include "memif_mirror.h"
#include "memif_pack.h"
#include "memif_rest.h"

struct mif_loans;
struct mif_notifier;
struct mif_zc_ring;

/** Why a burst wants the connection to be ended; the control thread does it. */
enum mif_fault {
	MIF_FAULT_NONE = 0,
	MIF_FAULT_INDEX,      /**< an index beyond what is possible */
	MIF_FAULT_DESCRIPTOR, /**< too many descriptors outside their region */
	MIF_FAULT_CHAIN,      /**< a chain longer than its ring */
	MIF_FAULT_MEMORY,     /**< the peer has taken memory away; see memif_guard.h */
	MIF_FAULT_PROCESS,    /**< a process of ours was killed while it wrote to the rings */
};

/**
 * What the ring ends of one connection have in common for the data path. In memory of DPDK's, like
 * the ring ends: at the same address in all processes.
 */
struct mif_shared {
	uint32_t region_count;
	uint32_t fault;	    /**< enum mif_fault; the first one stays */
	uint32_t bad_descs; /**< of all rings, until the limit */
	int kick_fd;	    /**< wakes the control thread; a file of the primary process */
	struct mif_notifier *notifier; /**< of the primary process */
	struct mif_span regions[MIF_REGIONS_MAX];
	/* Behind all that bursts of the primary use. */
	uint64_t generation; /**< number of the connection, unique in the primary process, not 0 */
	uint16_t port;	     /**< number of its ethdev */
};

/** Bad descriptors that a connection survives. */
#define MIF_BAD_DESCS_MAX 1024

/** This process's end of one ring; used by one lcore at a time, but for shared transmit rings. */
struct mif_ring_end {
	struct mif_desc *desc;
	uint16_t *own_index;	    /**< in shared memory; a copy of cursor goes there */
	const uint16_t *peer_index; /**< in shared memory */
	uint32_t size;		    /**< slots */
	uint32_t mask;		    /**< size - 1 */
	uint16_t cursor;	    /**< next slot to fill or to empty, free-running: the truth */
	uint16_t limit;	 /**< transmit: server: the client has posted up to here; client: the server
			     has emptied up to here, as far as looked at */
	uint16_t region; /**< client: the region of its buffers */
	bool shared;	 /**< transmit: several queues use it, lock is needed */
	bool prefetchw;	 /**< transmit: see mif_cpu_takes_lines_early() */
	uint8_t *base;	 /**< client: start of that region */
	uint8_t *buffers;	 /**< client: the first of its buffers */
	uint32_t buffers_offset; /**< client: bytes from the region's start to it */
	uint32_t buffer_size;	 /**< client: bytes of room in each */
	uint32_t stride;	 /**< client: bytes from one to the next */
	bool alternates;	 /**< client transmit: its thread sends to other rings, too */
	struct mif_pack pack[MIF_PACK_AREAS]; /**< client transmit: where packets lie among them */
	uint64_t capacity;		      /**< client: bytes that all buffers hold */
	struct mif_shared *common;
	struct mif_desc *picked; /**< server transmit: copies of a chain's descriptors */
	uint64_t posted; /**< server transmit: slots that the client has posted, up to limit */
	struct mif_zc_ring *zc;	   /**< client with zero-copy: its mbufs; else NULL */
	struct mif_rest rest;	   /**< transmit: after the ring was full */
	struct mif_lag lag;	   /**< receive: distance from the sender */
	struct mif_ring_end *next; /**< receive: further rings of the same queue */
	struct mif_loans *loans;   /**< zero-copy receive of a server; else NULL */
	struct mif_ring *ring;
	struct mif_lock lock; /**< only if shared */
	int event_fd;	/**< wakes the peer; the connection's, a file of the primary process */
	uint16_t index; /**< of this ring among those of its direction */
} __rte_cache_aligned;

/** Slots of the cursor's are done with. Others than the lcore look at it too, for numbers only. */
static inline void
mif_ring_end_advance(struct mif_ring_end *end, uint32_t slots)
{
	__atomic_store_n(&end->cursor, (uint16_t)(end->cursor + slots), __ATOMIC_RELAXED);
}

/** The empty descriptor of a client's own memory from this place on. */
static inline struct mif_desc
mif_own_place(const struct mif_ring_end *end, uint32_t place)
{
	return (struct mif_desc){
		.region = end->region,
		.length = end->buffer_size,
		.offset = end->buffers_offset + place,
	};
}

/** The empty descriptor of one of our own buffers, that is of a client's, to receive into. */
static inline struct mif_desc
mif_own_buffer(const struct mif_ring_end *end, uint32_t slot)
{
	return mif_own_place(end, slot * end->stride);
}

/** Add to a counter that has one writer at a time, while anybody may read it. */
static inline void
mif_count(uint64_t *counter, uint64_t more)
{
	__atomic_store_n(counter, *counter + more, __ATOMIC_RELAXED);
}

/** Counters of one queue, written by its lcore alone. */
struct mif_counters {
	uint64_t packets;
	uint64_t bytes;
	uint64_t no_mbuf;   /**< receive: no buffer could be had; the packet waits in the ring */
	uint64_t bad_desc;  /**< descriptors of the peer that point outside, or are empty */
	uint64_t bad_index; /**< bursts that saw an impossible index */
	uint64_t too_long; /**< packets dropped: longer than an mbuf without scatter, or than a ring */
	uint64_t empty;	   /**< transmit: packets of no bytes, dropped */
	uint64_t bad_offload; /**< transmit: packets dropped as their flags do not fit their headers */
	uint64_t not_ip;      /**< mode=ip: packets dropped that are neither IPv4 nor IPv6 */
	uint64_t copied;      /**< receive, zero-copy client: buffers copied all the same */
	uint64_t copied_unexposed; /**< transmit, zero-copy: segments copied, memory not exposed */
	uint64_t copied_shared;	   /**< ... as others use them too, or not direct */
	uint64_t copied_unfit;	   /**< ... longer than bsize, or of too many for the ring */
	uint64_t copied_short;	   /**< ... as that is cheaper for so few bytes */
	uint64_t ring_full;	   /**< transmit: bursts cut short as the peer was slow */
	uint64_t events;	   /**< transmit: wake-ups of the peer */
	uint64_t interrupts;	   /**< receive: wake-ups, that is interrupts disabled again */
	uint64_t lent;		   /**< receive: packets handed up without copying */
	uint64_t over_mark;	   /**< receive: packets copied as too many are lent */
};

/** A queue of a port. */
struct mif_queue {
	struct mif_gate gate; /**< in front of its struct mif_ring_end, for bursts */
	struct mif_gate side; /**< the same for all others, one at a time; see mif_queue_enter_side() */
	struct mif_lock side_lock;
	struct rte_mempool *pool;
	uint64_t rearm[2]; /**< receive: data_off, refcnt, nb_segs, port and ol_flags of a new mbuf */
	uint32_t room;	   /**< receive: bytes of an mbuf behind its headroom */
	uint32_t free_thresh; /**< transmit, zero-copy: mbufs come back when fewer slots are free */
	uint32_t copybreak;   /**< transmit, zero-copy: bytes up to which packets are copied */
	bool scatter;	      /**< receive: a packet may take several mbufs */
	uint32_t lend_from;   /**< receive: bytes from which on packets are not copied */
	uint32_t lend_most;   /**< receive: and up to which */
	uint64_t no_iova;     /**< receive: bits that make an address none for devices, or 0 */
	bool strip;	      /**< receive: VLAN tags go from the packet to the mbuf */
	uint16_t id;
	uint16_t port_id;
	bool deferred;		     /**< the start of its port does not start it */
	bool stopped;		     /**< its gates stay closed; under the lock */
	struct mif_wait wait;	     /**< receive */
	struct mif_l2 l2;	     /**< receive, mode=ip: the header in front of a packet */
	struct mif_mirror mirror;    /**< receive: of the peer's index, once it is monitored */
	struct mif_offload *offload; /**< transmit: NULL without offloads */
	uint32_t holders; /**< its port, and connections that wait for it; under the lock */
	TAILQ_ENTRY(mif_queue) next; /**< of the process; under the lock */
	struct mif_counters counters __rte_cache_aligned;
	struct mif_counters cleared; /**< what they were at the last reset */
} __rte_cache_aligned;

static_assert(sizeof(struct mif_queue) % RTE_CACHE_LINE_SIZE == 0 &&
				sizeof(struct mif_ring_end) % RTE_CACHE_LINE_SIZE == 0,
		"lcores of two queues never write to one line");
static_assert(offsetof(struct mif_queue, counters) % RTE_CACHE_LINE_SIZE == 0,
		"who reads a queue's fields does not share a line with its counters");

/**
 * Make a queue. Takes the lock.
 *
 * @param socket  NUMA node
 * @return the queue, or NULL when there is no memory
 */
struct mif_queue *mif_queue_create(uint16_t id, int socket);

/** Let bursts, and others, use these ring ends. */
void mif_queue_open(struct mif_queue *queue, struct mif_ring_end *ends);

/**
 * Look at the rings of a queue on any thread: a burst's gate is for its lcore alone.
 *
 * @return the ring ends, or NULL without a connection; mif_queue_leave_side() must follow
 */
struct mif_ring_end *mif_queue_enter_side(struct mif_queue *queue);
void mif_queue_leave_side(struct mif_queue *queue);

/** Close the queue's gates. The control thread's barrier must follow. */
void mif_queue_shut(struct mif_queue *queue);

/** Shut, and after the barrier: does nobody use what was behind its gates any more? */
bool mif_queue_idle(struct mif_queue *queue);

/**
 * A process is gone, and was perhaps killed while it used a queue: nobody waits for it any more, and
 * the connection that it was writing to is to end. Lock held.
 *
 * @param closed  set if that was behind a gate that has been closed since: which one is not known
 * @return whether it was inside a burst
 */
bool mif_queue_heal(uint32_t process, bool *closed);

/**
 * Look for packets that came while a receiver went to sleep, and of which it was not told; wake it.
 * Control thread, lock held.
 *
 * @return whether some receiver has gone to sleep so lately that it is to be looked after again
 */
bool mif_queue_look_after(void);

/** Take a share in the queue, so that it outlives its port. Lock held. */
void mif_queue_hold(struct mif_queue *queue);

/** Give up a share; the last one frees the queue. Lock held. */
void mif_queue_drop(struct mif_queue *queue);

/**
 * Tell a receive queue where its mbufs come from, and what a new one looks like.
 *
 * @param pool  of mbufs with room behind the headroom
 */
void mif_queue_set_pool(struct mif_queue *queue, struct rte_mempool *pool, uint16_t port_id,
		bool scatter);

/** Ask the control thread to end the connection; only the first call does something. */
void mif_queue_fault(struct mif_shared *common, enum mif_fault fault);

/**
 * Take the lock of a ring that several queues share; mif_lock_give() must follow. Not inlined, so that
 * rings that are not shared do not pay for it.
 *
 * @return false if the ring must not be used: who had the lock before was killed, and may have left
 *         the ring half written
 */
bool mif_queue_take_ring(struct mif_ring_end *end);

/**
 * Wake the peer, which sleeps at this ring. From inside a burst; a system call.
 *
 * @return 0, or a negative errno when it was not woken
 */
int mif_queue_wake(const struct mif_ring_end *end);

/** Count bad descriptors of a connection; beyond the limit, ask for its end. */
void mif_queue_bad_desc(struct mif_queue *queue, struct mif_shared *common);

/** Text of a fault, for logs and the peer. */
const char *mif_fault_text(enum mif_fault fault);

#endif /* MEMIF_QUEUE_H */

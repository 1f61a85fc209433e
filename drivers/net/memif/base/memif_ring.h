/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * The verbs of a ring with one producer and one consumer. All memory ordering of the data path is
 * here, and each acquire and release names its partner.
 *
 * The client advances head and the server advances tail, in both directions, so each end has one
 * index of its own and one of its peer. An end keeps its own index in private memory and only
 * publishes copies: what stands in shared memory may be changed by the peer at any time.
 */

#ifndef MEMIF_RING_H
#define MEMIF_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "memif_abi.h"

/** The place of an index that is shared with the peer. */
static inline uint16_t *
mif_ring_index(struct mif_ring *ring, enum mif_role owner)
{
	return owner == MIF_CLIENT ? &ring->head : &ring->tail;
}

/**
 * Write a new ring, without packets. Its receiver gets interrupts until it masks them, as receivers
 * that sleep do not all ask for them.
 *
 * Called by the client before the peer knows the ring; the control channel orders it.
 */
static inline void
mif_ring_format(struct mif_ring *ring)
{
	memset(ring, 0, sizeof(*ring));
	ring->cookie = MIF_RING_COOKIE;
}

/**
 * Read the peer's index.
 *
 * Acquire: pairs with the release in the peer's mif_ring_publish(), so all descriptors and packet
 * bytes that the peer wrote before it advanced are visible, and slots that it has given up are no
 * longer read by it.
 */
static inline uint16_t
mif_ring_peek(const uint16_t *peer_index)
{
	return __atomic_load_n(peer_index, __ATOMIC_ACQUIRE);
}

/**
 * Let the peer see our index.
 *
 * Release: pairs with the acquire in the peer's mif_ring_peek(), so all that we wrote to
 * descriptors and buffers, and all that we read from them, is done before the peer may act on it.
 */
static inline void
mif_ring_publish(uint16_t *own_index, uint16_t value)
{
	__atomic_store_n(own_index, value, __ATOMIC_RELEASE);
}

/**
 * Slots from index `from` to index `to`, both free-running.
 *
 * A peer that lets its index jump or run back makes a count above the ring's size.
 */
static inline uint16_t
mif_ring_span(uint16_t from, uint16_t to)
{
	return (uint16_t)(to - from);
}

/**
 * After mif_ring_publish(): does the receiver want to be woken?
 *
 * Fence: pairs with the one in mif_ring_unmask(). Either we see its cleared mask, or it sees our
 * index when it looks at the ring again; so no wake-up is lost.
 */
static inline bool
mif_ring_wants_event(const struct mif_ring *ring)
{
	atomic_thread_fence(memory_order_seq_cst);
	return (__atomic_load_n(&ring->flags, __ATOMIC_RELAXED) & MIF_RING_MASK_INT) == 0;
}

/** The receiver will poll: no events, please. A late event is harmless, so no ordering. */
static inline void
mif_ring_mask(struct mif_ring *ring)
{
	__atomic_store_n(&ring->flags, MIF_RING_MASK_INT, __ATOMIC_RELAXED);
}

/**
 * The receiver is about to sleep: it wants an event for the next packet, and must look at the ring
 * once more after this.
 *
 * Fence: pairs with the one in mif_ring_wants_event().
 */
static inline void
mif_ring_unmask(struct mif_ring *ring)
{
	__atomic_store_n(&ring->flags, 0, __ATOMIC_RELAXED);
	atomic_thread_fence(memory_order_seq_cst);
}

#endif /* MEMIF_RING_H */

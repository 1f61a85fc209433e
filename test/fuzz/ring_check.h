/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * What a burst must do when nobody changes the memory under it: a slow and simple second look at
 * the same ring.
 */

#ifndef RING_CHECK_H
#define RING_CHECK_H

#include "ring_world.h"

/** Before a receive burst: work out which packets have to come. */
void check_before_rx(uint16_t count);

/** After it: they have come, with their bytes, and nothing was written but what had to be. */
void check_after_rx(struct rte_mbuf **mbufs, uint16_t done);

/**
 * Before a transmit burst.
 *
 * @param first  seed of the first packet; the others follow by one each
 */
void check_before_tx(struct rte_mbuf **mbufs, uint16_t count, uint64_t first);

/**
 * After it: what was published are those packets, whole and in order; and the next one waits only
 * because it has to.
 *
 * @param honest  the posted buffers do not overlap each other or the ring
 */
void check_after_tx(uint16_t done, bool honest);

#endif /* RING_CHECK_H */

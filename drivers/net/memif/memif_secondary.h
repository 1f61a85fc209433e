/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * A port in a secondary process: found there, not made. The primary has told what the bursts of its
 * connection need; here that is mapped, at the addresses that it has in the primary, and unmapped
 * when no burst uses it. See memif_mp.h for the primary's side.
 */

#ifndef MEMIF_SECONDARY_H
#define MEMIF_SECONDARY_H

struct mif_ring_end;
struct rte_vdev_device;

/**
 * A port of the primary process appears here.
 *
 * @return 0, or a negative errno after a log line
 */
int mif_secondary_probe(struct rte_vdev_device *vdev);

/**
 * Wake the peer, from inside a burst.
 *
 * @return 0, or a negative errno when it was not woken
 */
int mif_secondary_wake(const struct mif_ring_end *end);

#endif /* MEMIF_SECONDARY_H */

/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * The NUMA node of memory that this end makes.
 */

#ifndef MEMIF_NUMA_H
#define MEMIF_NUMA_H

#include <stdint.h>

/** Nodes are numbered below it. */
#define MIF_NUMA_NODES 1024

/**
 * Let pages of a shared mapping come from a node, if it has any left, whoever touches them first: also a
 * process of the peer. Pages that are there already stay where they are.
 *
 * @param addr  start of a page
 * @param size  bytes
 * @param node  negative for any: then nothing is done
 * @return 0, also on a kernel without NUMA; or a negative errno: -EINVAL when there is no such node,
 *         -EPERM where a container may not ask. Pages then come from the node of who touches them
 */
int mif_numa_prefer(void *addr, uint64_t size, int node);

#endif /* MEMIF_NUMA_H */

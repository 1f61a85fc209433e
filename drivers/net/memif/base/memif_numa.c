/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <limits.h>
#include <numaif.h>

#include "memif_numa.h"

#define WORD_BITS (sizeof(unsigned long) * CHAR_BIT)

int
mif_numa_prefer(void *addr, uint64_t size, int node)
{
	unsigned long nodes[MIF_NUMA_NODES / WORD_BITS] = { 0 };

	if (node < 0)
		return 0;
	if (node >= MIF_NUMA_NODES)
		return -EINVAL;
	nodes[(unsigned int)node / WORD_BITS] = 1UL << (unsigned int)node % WORD_BITS;
	/* The kernel takes one bit less than it is told. */
	if (mbind(addr, size, MPOL_PREFERRED, nodes, MIF_NUMA_NODES + 1, 0) != 0)
		return errno == ENOSYS ? 0 : -errno;
	return 0;
}

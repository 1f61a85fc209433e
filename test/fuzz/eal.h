/* SPDX-License-Identifier: BSD-3-Clause */

/** @file A DPDK environment inside a fuzz target. */

#ifndef FUZZ_EAL_H
#define FUZZ_EAL_H

#include <rte_mempool.h>

/** Start EAL without huge pages, devices, or anything another process could meet; quietly. */
void fuzz_eal_init(void);

/** Let all that is logged from here on be formatted, but not shown; FUZZ_LOG=1 shows it. */
void fuzz_eal_silence(void);

/**
 * A pool of mbufs with `room` bytes behind the headroom, and without a cache, so that what is out
 * can be counted. All that lies between its objects is poisoned for ASan.
 */
struct rte_mempool *fuzz_pool(const char *name, unsigned int count, uint16_t room);

#endif /* FUZZ_EAL_H */

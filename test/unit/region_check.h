/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * What is looked at in regions, made or taken.
 */

#ifndef REGION_CHECK_H
#define REGION_CHECK_H

#include <stdint.h>
#include <unistd.h>

#include "memif_region.h"

#define PAGE ((uint64_t)sysconf(_SC_PAGESIZE))

/** Fail unless it is as one that was never there. */
void assert_none(const struct mif_region *region);

/** What the file takes up in memory; UINT64_MAX when that cannot be said. */
uint64_t bytes_there(int fd);

/** mlockall(MCL_FUTURE), for a child of check_in_a_child(). */
void lock_all_memory(void);

/** Fail unless a child that runs this ends with 44; skip the test when it may not lock memory. */
void check_in_a_child(int (*look)(void));

#endif /* REGION_CHECK_H */

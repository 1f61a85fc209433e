/* SPDX-License-Identifier: BSD-3-Clause */

/** @file The commands of mif-lifecycle. */

#ifndef LIFECYCLE_COMMANDS_H
#define LIFECYCLE_COMMANDS_H

/** Run one line, and print its answer. */
void run_command(char *line);

/** Mbufs that are not in the pool. */
unsigned int mbufs_in_use(void);

/** Their pool. */
struct rte_mempool *mbufs_pool(void);

#endif /* LIFECYCLE_COMMANDS_H */

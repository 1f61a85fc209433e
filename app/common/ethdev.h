/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * What every program does with an ethdev port.
 */

#ifndef COMMON_ETHDEV_H
#define COMMON_ETHDEV_H

#include <stdbool.h>
#include <stdint.h>
#include <rte_mempool.h>

/**
 * Prints what is the matter with a port on stderr.
 *
 * @param name  of the port
 * @param error  a negative errno
 * @return error
 */
int ethdev_complain(const char *name, const char *what, int error);

/**
 * Sets up as many receive and transmit queues, on a port that is configured with them.
 *
 * @param name  for messages
 * @param descriptors  of each queue; the driver may take more or less
 * @param pool  for what is received
 * @return 0 or negative errno, after a message on stderr
 */
int ethdev_set_up_queues(uint16_t port, const char *name, uint16_t queues, uint16_t descriptors,
		struct rte_mempool *pool);

/** Whether the link of a port is up, without waiting. */
bool ethdev_link_up(uint16_t port);

#endif /* COMMON_ETHDEV_H */

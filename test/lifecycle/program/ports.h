/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * The life of ports as an application drives it, by the public API alone. All functions return 0 or
 * a negative errno, and may be called in a link callback too.
 */

#ifndef LIFECYCLE_PORTS_H
#define LIFECYCLE_PORTS_H

#include <stdint.h>

struct rte_mempool;

void ports_init(struct rte_mempool *pool);

/** Hot-plug "NAME,option=value,..."; *port gets its number. */
int ports_attach(const char *devargs, uint16_t *port);

/** Configure with link interrupts, and set up so many queues. */
int ports_setup(uint16_t port, uint16_t queues);

/** Start, and poll. */
int ports_start(uint16_t port);

/** Poll no more, and stop. */
int ports_stop(uint16_t port);

/** Stop if started, and close. */
int ports_close(uint16_t port);

/** Stop if started, and remove the device. */
int ports_detach(uint16_t port);

/** Remove the device whatever its state is. */
int ports_remove(uint16_t port);

/** Stop and start so many times, at random intervals. */
int ports_restart_often(uint16_t port, unsigned int times);

/** Detach and attach so many times, now and then closing first. */
int ports_reattach_often(uint16_t port, unsigned int times);

#endif /* LIFECYCLE_PORTS_H */

/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * The ethdev ports: found, made, started, and gone at the end.
 */

#ifndef FWD_PORTS_H
#define FWD_PORTS_H

#include "fwd.h"

/**
 * Finds the network's port, makes those of memif and kernel, sets them up with queues for
 * fwd->workers, and starts them. What was opened before a failure is left to ports_close().
 *
 * @return 0 or negative errno, after a message on stderr
 */
int ports_open(struct fwd *fwd);

/** Stops and closes all, and removes those that were made. No worker may run any more. */
void ports_close(struct fwd *fwd);

#endif /* FWD_PORTS_H */

/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * Links of the memif ports, by events: flows leave a port that loses its peer, and come back.
 */

#ifndef FWD_LINKS_H
#define FWD_LINKS_H

#include "fwd.h"

/**
 * Have each change of a memif port's link change fwd->steer, until the port is closed. The ports
 * are configured and not started yet.
 *
 * @return 0 or negative errno, after a message on stderr
 */
int links_watch(struct fwd *fwd);

/** Takes the links as they are, for what happened before anybody watched. */
void links_look(struct fwd *fwd);

#endif /* FWD_LINKS_H */

/* SPDX-License-Identifier: BSD-3-Clause */

/** @file Starts a peer, kills it at a random moment, again and again. */

#ifndef LOAD_KILL_H
#define LOAD_KILL_H

#include "peer.h"

struct kill_cfg {
	unsigned int kills;
	unsigned int seed;
	unsigned int max_us; /**< longest life after the handshake */
};

/**
 * Kill a peer so many times. Every fourth dies during its handshake, the others after it, most of them
 * under full load.
 *
 * Prints one line of JSON: how many died, in which states, and what they had moved.
 *
 * @return 0, or -1 when one did not get a connection in time
 */
int kill_often(struct peer *peer, const struct kill_cfg *cfg);

/** Be a peer for ever: connect, move packets, connect again. */
void live(struct peer *peer);

#endif /* LOAD_KILL_H */

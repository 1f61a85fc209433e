/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * Which memif port a flow goes to. No DPDK.
 *
 * Flows fall into buckets, and each bucket goes to the live port that has the highest rank for it
 * (rendezvous hashing). So when a port goes, only its flows move; when it is back, the same
 * ones return. Ranks are compared when a port comes or goes, not per packet.
 *
 * A forwarding core has a copy of its own, which it brings up to date between two bursts: all
 * buckets change for it at once, so it can first move what waits for a port that has gone. Packets
 * that come later would else overtake it.
 */

#ifndef FWD_STEER_H
#define FWD_STEER_H

#include <stdbool.h>
#include <stdint.h>

#define STEER_PORTS 64
#define STEER_BUCKETS 4096 /* a power of two */
#define STEER_NONE UINT8_MAX

struct steer {
	uint8_t bucket[STEER_BUCKETS]; /**< number of a port, STEER_NONE when none is live */
	uint64_t live;		       /**< a bit per port */
	unsigned int ports;
	uint32_t generation; /**< odd while the others change */
};

/** No port is live. @param ports  1 to STEER_PORTS */
void steer_init(struct steer *steer, unsigned int ports);

/** Not for two threads at once; the other functions may be used meanwhile. */
void steer_set_live(struct steer *steer, unsigned int port, bool live);

/**
 * Bring a copy up to date. Never waits: while the original changes, the copy stays as it is.
 *
 * @param copy  of steer_init() with as many ports
 * @return whether the copy has changed
 */
bool steer_adopt(struct steer *copy, const struct steer *steer);

/** How many buckets a port has. */
unsigned int steer_share(const struct steer *steer, unsigned int port);

static inline bool
steer_is_live(const struct steer *steer, unsigned int port)
{
	return (__atomic_load_n(&steer->live, __ATOMIC_RELAXED) >> port & 1) != 0;
}

/** @return the port of a flow with this hash, or STEER_NONE */
static inline uint8_t
steer_pick(const struct steer *steer, uint32_t hash)
{
	return __atomic_load_n(&steer->bucket[hash & (STEER_BUCKETS - 1)], __ATOMIC_RELAXED);
}

#endif /* FWD_STEER_H */

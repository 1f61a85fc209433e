/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * The bare ring: memif's descriptors and indices between two threads, with nothing around them. It
 * shows what two cores can do, which is what a driver is measured against.
 */

#ifndef PERF_LIMIT_RING_H
#define PERF_LIMIT_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "memif_ring.h"

#define LIMIT_BURST 32
#define LIMIT_LOG2_SLOTS 10
#define LIMIT_SLOTS (1 << LIMIT_LOG2_SLOTS)

/** What one measurement is about. */
struct limit_cfg {
	uint32_t length;  /**< bytes of a packet */
	uint32_t stride;  /**< from one buffer to the next */
	uint32_t buffers; /**< that are cycled through, a power of two up to LIMIT_SLOTS */
	bool payload;	  /**< copy packets; else only descriptors move */
	bool prefetch;
};

/** One direction: the ring and its buffers, and what either end knows of them. */
struct limit_pipe {
	struct limit_cfg cfg;
	struct mif_ring *ring;
	uint8_t *region; /**< to which the offsets of descriptors refer */
	uint32_t buffers_at;

	/* The producer's. */
	uint16_t head __attribute__((aligned(128)));
	uint16_t tail_seen;
	uint64_t sent;

	/* The consumer's. */
	uint16_t tail __attribute__((aligned(128)));
	uint64_t received;
	uint64_t wrong; /**< packets out of their order or not whole */
} __attribute__((aligned(128)));

/** Packets of one core's own, which it copies from and to. */
struct limit_store {
	uint8_t *packet[LIMIT_BURST];
};

/** What a core does: any of it may be NULL. */
struct limit_job {
	struct limit_pipe *out;
	struct limit_pipe *in;
	struct limit_store *store;
	bool check; /**< number the packets and check the numbers */
	int *stop;
};

/** Bytes that a pipe takes in its region. */
uint64_t limit_pipe_bytes(const struct limit_cfg *cfg);

/** Lay an empty pipe out at the start of a region that large. */
void limit_pipe_init(struct limit_pipe *pipe, const struct limit_cfg *cfg, uint8_t *region);

/** Produce until *stop. */
void limit_produce(const struct limit_job *job);

/** Consume until *stop. */
void limit_consume(const struct limit_job *job);

/** Take from one pipe and send the same into the other, until *stop. */
void limit_relay(const struct limit_job *job);

/** Send so many bursts to begin with; the pipe must have room for them. */
void limit_inject(const struct limit_job *job, unsigned int bursts);

#endif /* PERF_LIMIT_RING_H */

/* SPDX-License-Identifier: BSD-3-Clause */

/** @file Packets that a server with zero-copy=yes has handed up, kept by the application. */

#ifndef LENT_H
#define LENT_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#include "ports.h"

#define HELD_MAX 1024
#define BSIZE 2048u

/** Kept packets, each of length bytes. */
struct held {
	struct rte_mbuf *packets[HELD_MAX];
	unsigned int count;
	uint32_t length;
};

/** Which end of the pair is the server, that is lends; and the other one. */
struct end *lender(struct pair *pair);
struct end *borrowed_from(struct pair *pair);

/** Attach, configure and start both ends, the server with zero-copy=yes; wait for the link. */
int lender_up(struct pair *pair, const char *options, const struct setup *setup);

/** The client sends packets, as many as it can up to count; the server receives and keeps them. */
void hold_packets(struct pair *pair, struct held *held, unsigned int count, uint32_t length);

/** How many of them have an external buffer in their first segment. */
unsigned int count_lent(const struct held *held);

/** Are all of them what was sent? */
bool all_intact(const struct held *held);

/** Free the one at this place; the last one takes its place. */
void free_one(struct held *held, unsigned int at);

/** Free all of them, on this thread or on another, in an order that the seed gives. */
void free_all(struct held *held, unsigned int seed);
void free_all_elsewhere(struct held *held, unsigned int seed);

/** Mappings of memif regions in this process: two for each connection between two of its ports. */
unsigned int count_regions(void);

#endif /* LENT_H */

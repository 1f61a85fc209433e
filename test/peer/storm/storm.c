/* SPDX-License-Identifier: BSD-3-Clause */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "memif_desc.h"
#include "memif_ring.h"
#include "storm.h"

#define BATCH 64
#define TURNS_PER_LOOK 256 /* at the socket */
#define REFUSED_US 2000	   /* before the next attempt */
#define STUCK_S 2

/* xorshift64*: one multiplication a number. */
static uint64_t
any(struct storm *storm)
{
	uint64_t x = storm->random;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	storm->random = x;
	return x * UINT64_C(0x2545F4914F6CDD1D);
}

static uint32_t
below(struct storm *storm, uint64_t limit)
{
	return limit == 0 ? 0 : (uint32_t)((any(storm) >> 16) % limit);
}

/* Somewhere in a region; now and then of a length that no packet has, or in a chain. */
static struct mif_desc
sound(struct storm *storm)
{
	uint16_t regions = storm->peer->conn.geometry.regions;
	struct mif_desc desc = { .region = (uint16_t)below(storm, regions) };
	uint64_t size = storm->peer->regions[desc.region].size;

	desc.length = 1 + below(storm, below(storm, 64) == 0 ? 70000 : 512);
	if (desc.length > size)
		desc.length = (uint32_t)size;
	desc.offset = below(storm, size - desc.length + 1);
	desc.flags = below(storm, 16) == 0 ? MIF_DESC_NEXT : 0;
	return desc;
}

/* One or more of its fields are of any value. */
static struct mif_desc
unsound(struct storm *storm)
{
	struct mif_desc desc = sound(storm);
	uint32_t which = 1 + below(storm, 15);

	if ((which & 1) != 0)
		desc.region = (uint16_t)any(storm);
	if ((which & 2) != 0)
		desc.offset = (uint32_t)(any(storm) >> 8);
	if ((which & 4) != 0)
		desc.length = below(storm, 4) == 0 ? 0 : (uint32_t)(any(storm) >> 8);
	if ((which & 8) != 0)
		desc.flags = (uint16_t)any(storm);
	desc.metadata = (uint32_t)any(storm);
	storm->bad++;
	return desc;
}

static void
scribble(struct storm *storm, struct storm_end *end, uint32_t count)
{
	struct mif_desc desc;

	for (uint32_t i = 0; i < count; i++) {
		desc = below(storm, storm->bad_every) == 0 ? unsound(storm) : sound(storm);
		mif_desc_write(&end->ring->desc[(end->cursor + i) & (end->size - 1)], desc);
	}
}

/* Slots that the rules let this end hand over now. */
static uint32_t
allowed(const struct storm *storm, const struct storm_end *end, uint16_t peer)
{
	uint32_t count = storm->peer->role == MIF_CLIENT ?
			(uint16_t)(peer + end->size - end->cursor) :
			mif_ring_span(end->cursor, peer);

	return count <= end->size ? count : 0;
}

static void
count_taken(struct storm *storm, struct storm_end *end, uint16_t peer)
{
	uint16_t taken = mif_ring_span(end->seen, peer);

	if (taken <= end->size)
		storm->descriptors += taken;
	end->seen = peer;
}

static void
play(struct storm *storm, struct storm_end *end)
{
	uint16_t peer = mif_ring_peek(end->peer_index);
	uint32_t count = allowed(storm, end, peer);

	count_taken(storm, end, peer);
	if (count > BATCH)
		count = 1 + below(storm, BATCH);
	scribble(storm, end, count);
	end->cursor = (uint16_t)(end->cursor + count);
	if (storm->jump_every != 0 && below(storm, storm->jump_every) == 0) {
		end->cursor = (uint16_t)any(storm);
		storm->jumps++;
	}
	mif_ring_publish(end->own_index, end->cursor);
}

static void
init_end(struct storm *storm, struct storm_end *end, const struct mif_ring_place *place)
{
	enum mif_role role = storm->peer->role;

	end->ring = (struct mif_ring *)(void *)(storm->peer->regions[place->region].addr +
			place->offset);
	end->own_index = mif_ring_index(end->ring, role);
	end->peer_index = mif_ring_index(end->ring, role == MIF_CLIENT ? MIF_SERVER : MIF_CLIENT);
	end->size = 1u << place->log2_ring_size;
	end->cursor = 0;
	end->seen = mif_ring_peek(end->peer_index);
}

/* From all bad to hardly any; a connection ends after 1024 bad ones, or at the first jump. */
static void
choose_manners(struct storm *storm)
{
	static const uint32_t bad_every[] = { 1, 16, 1000, 20000, 20000, 100000, 100000, 1000000 };
	static const uint32_t jump_every[] = { 0, 0, 5000, 50000 };

	storm->bad_every = bad_every[below(storm, sizeof(bad_every) / sizeof(bad_every[0]))];
	storm->jump_every = jump_every[below(storm, sizeof(jump_every) / sizeof(jump_every[0]))];
}

double
seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/*
 * Has nothing been taken for long? A buffer that we post may lie over our ring: the other end then
 * writes a packet over its index there, and says no more what it has taken.
 */
static bool
is_stuck(struct storm *storm)
{
	double now = seconds_now();

	if (storm->descriptors != storm->last_taken) {
		storm->last_taken = storm->descriptors;
		storm->last_time = now;
	}
	return now - storm->last_time > STUCK_S;
}

static void
misbehave(struct storm *storm)
{
	const struct mif_geometry *geometry = &storm->peer->conn.geometry;

	storm->last_time = seconds_now();
	storm->connections++;
	choose_manners(storm);
	for (int dir = 0; dir < MIF_DIRS; dir++) {
		for (uint16_t i = 0; i < geometry->rings[dir]; i++)
			init_end(storm, &storm->ends[dir][i], &geometry->ring[dir][i]);
	}
	for (unsigned int turn = 0; peer_up(storm->peer); turn++) {
		for (int dir = 0; dir < MIF_DIRS; dir++) {
			for (uint16_t i = 0; i < geometry->rings[dir]; i++)
				play(storm, &storm->ends[dir][i]);
		}
		if (turn % TURNS_PER_LOOK == 0) {
			peer_step(storm->peer, 0);
			if (is_stuck(storm)) {
				storm->stuck++;
				return;
			}
		}
		if (storm->descriptors >= storm->wanted)
			return;
	}
}

void
storm_run(struct storm *storm)
{
	const struct timespec pause = { .tv_nsec = REFUSED_US * 1000 };
	struct peer *peer = storm->peer;

	while (storm->descriptors < storm->wanted) {
		int ret = peer_meet(peer);

		if (ret != 0) {
			fprintf(stderr, "mif-storm: %s: %s\n", peer->addr.text, strerror(-ret));
			exit(1);
		}
		while (!peer_up(peer) && !peer_closed(peer))
			peer_step(peer, 100);
		if (peer_up(peer))
			misbehave(storm);
		else
			nanosleep(&pause, NULL);
		peer_close(peer);
	}
}

/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * The protocol once more, in the tests' own words: which message an end takes in which state and
 * with how many file descriptors. Written down from the protocol, not from the driver's table.
 */

#ifndef SPEC_H
#define SPEC_H

#include "memif_msg.h"
#include "unit.h"

/** One message that is taken. */
struct spec_taken {
	enum mif_role receiver;
	enum mif_state state;
	uint16_t type;
	unsigned int fds;
};

static const struct spec_taken spec_taken[] = {
	{ MIF_CLIENT, MIF_STATE_WAIT_HELLO, 2, 0 },
	{ MIF_CLIENT, MIF_STATE_WAIT_INIT_ACK, 1, 0 },
	{ MIF_CLIENT, MIF_STATE_ADD_REGION, 1, 0 },
	{ MIF_CLIENT, MIF_STATE_ADD_RING, 1, 0 },
	{ MIF_CLIENT, MIF_STATE_WAIT_CONNECTED, 7, 0 },
	{ MIF_SERVER, MIF_STATE_WAIT_INIT, 3, 0 },
	{ MIF_SERVER, MIF_STATE_SETUP, 4, 1 },
	{ MIF_SERVER, MIF_STATE_SETUP, 5, 1 },
	{ MIF_SERVER, MIF_STATE_SETUP, 6, 0 },
};

static const enum mif_state spec_client_states[] = {
	MIF_STATE_CLOSED,
	MIF_STATE_WAIT_HELLO,
	MIF_STATE_BUILD,
	MIF_STATE_WAIT_INIT_ACK,
	MIF_STATE_ADD_REGION,
	MIF_STATE_ADD_RING,
	MIF_STATE_WAIT_CONNECTED,
	MIF_STATE_UP,
};

static const enum mif_state spec_server_states[] = {
	MIF_STATE_CLOSED,
	MIF_STATE_WAIT_INIT,
	MIF_STATE_BIND,
	MIF_STATE_SETUP,
	MIF_STATE_UP,
};

/* 0x101, 0x108 and 0x8001 look like a known type to code that keeps too few bits. */
static const uint16_t spec_types[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 16, 32, 64, 127, 128,
	255, 256, 0x101, 0x108, 0x8001, 0xffff };

/** The states of a role. */
static inline const enum mif_state *
spec_states(enum mif_role role, size_t *count)
{
	*count = role == MIF_CLIENT ? COUNT_OF(spec_client_states) : COUNT_OF(spec_server_states);
	return role == MIF_CLIENT ? spec_client_states : spec_server_states;
}

/** Does this end take that message? DISCONNECT is taken whenever the connection is open. */
static inline bool
spec_takes(enum mif_role receiver, enum mif_state state, uint16_t type, unsigned int fds)
{
	if (type == 8)
		return state != MIF_STATE_CLOSED && fds == 0;
	for (size_t i = 0; i < COUNT_OF(spec_taken); i++) {
		if (spec_taken[i].receiver == receiver && spec_taken[i].state == state &&
				spec_taken[i].type == type)
			return spec_taken[i].fds == fds;
	}
	return false;
}

#endif /* SPEC_H */

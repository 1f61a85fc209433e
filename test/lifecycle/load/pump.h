/* SPDX-License-Identifier: BSD-3-Clause */

/** @file Fills and empties all rings of a connection as fast as it can. */

#ifndef LOAD_PUMP_H
#define LOAD_PUMP_H

#include "memif_desc.h"
#include "peer.h"

/** This end of one ring. */
struct pump_end {
	struct mif_desc *desc;
	uint16_t *own_index;
	const uint16_t *peer_index;
	uint32_t size;
	uint16_t cursor;
	const struct mif_buffer_run *run; /**< client: where its buffers are */
};

/** All rings of a connection. */
struct pump {
	struct peer *peer;
	struct pump_end ends[MIF_DIRS][MIF_RINGS_MAX];
	struct mif_span spans[MIF_REGIONS_MAX];
};

/** The connection is up. */
void pump_init(struct pump *pump, struct peer *peer);

/** Once round all rings; @return packets moved in both directions */
unsigned int pump_turn(struct pump *pump);

#endif /* LOAD_PUMP_H */

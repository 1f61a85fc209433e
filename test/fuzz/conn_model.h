/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * A second, small implementation of the handshake, from the protocol's description: it says which
 * state and which actions must follow an event. It reads messages by byte offsets.
 */

#ifndef CONN_MODEL_H
#define CONN_MODEL_H

#include "memif_conn.h"

/** An action that must come. */
struct model_action {
	enum mif_action_type type;
	uint16_t msg_type; /**< of MIF_ACT_SEND */
	enum mif_dir dir;  /**< of a ring */
	uint16_t index;	   /**< of a region or ring */
};

/** Where a ring lies. */
struct model_ring {
	uint16_t region;
	uint64_t first, end; /**< bytes of the region */
};

/** The other side of a struct mif_conn. */
struct conn_model {
	enum mif_role role;
	enum mif_state state;
	const struct mif_conn_cfg *cfg; /**< client; server: NULL until bound */
	struct mif_limits limits; /**< server: its own; client: of HELLO, as far as it may go */
	uint8_t given_mode;
	uint8_t given_secret[MIF_SECRET_LEN];
	uint32_t regions;
	uint32_t rings[MIF_DIRS];
	uint64_t region_size[MIF_REGIONS_MAX];
	struct model_ring ring[MIF_DIRS][MIF_RINGS_MAX];
	uint32_t sent; /**< client: regions and rings of which ADD was sent */
	bool by_peer;
	unsigned int count; /**< actions that must come */
	struct model_action wanted[MIF_ACTIONS_MAX];
};

/** Bytes of a message, by their place on the wire. */
static inline uint64_t
model_field(const struct mif_msg *msg, unsigned int offset, unsigned int bytes)
{
	const uint8_t *at = (const uint8_t *)msg + offset;
	uint64_t value = 0;

	for (unsigned int i = 0; i < bytes; i++)
		value |= (uint64_t)at[i] << (8 * i);
	return value;
}

void model_start_client(struct conn_model *model, const struct mif_conn_cfg *cfg);
void model_start_server(struct conn_model *model, const struct mif_limits *limits);

/** The events, as those of memif_conn.h. */
void model_message(struct conn_model *model, const struct mif_msg *msg, unsigned int fds);
void model_built(struct conn_model *model, const struct mif_geometry *geometry);
void model_bound(struct conn_model *model, const struct mif_conn_cfg *cfg, const char *refusal);
void model_fail(struct conn_model *model);
void model_hangup(struct conn_model *model);

/** State, actions, and what the connection knows must be what the model says. */
void model_compare(const struct conn_model *model, const struct mif_conn *conn,
		const struct mif_actions *actions);

#endif /* CONN_MODEL_H */

/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * The handshake of both roles as a pure state machine: an event goes in, the new state and a short
 * list of actions come out. No I/O, no clock, no memory of its own; the caller carries the actions
 * out in their order, and reports what it was asked for by a further event.
 *
 *     client: CLOSED -start-> WAIT_HELLO -HELLO-> BUILD -built-> WAIT_INIT_ACK -ACK-> ADD_REGION ...
 *             -> ADD_RING ... -> WAIT_CONNECTED -CONNECTED-> UP
 *     server: CLOSED -start-> WAIT_INIT -INIT-> BIND -bound-> SETUP (ADD_REGION, ADD_RING) ...
 *             -CONNECT-> UP
 *
 * From every state: DISCONNECT, a hang-up, or mif_conn_fail() lead to CLOSED.
 */

#ifndef MEMIF_CONN_H
#define MEMIF_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "memif_abi.h"
#include "memif_msg.h"

/** What one end wants; must stay in place while a connection uses it. */
struct mif_conn_cfg {
	uint32_t id;			/**< pairs the two ends on one socket */
	uint8_t mode;			/**< enum mif_mode */
	uint8_t log2_ring_size;		/**< client: the size it asks for */
	uint16_t rings[MIF_DIRS];	/**< client: rings it asks for */
	uint8_t secret[MIF_SECRET_LEN]; /**< all zero for none */
	char name[MIF_NAME_LEN];	/**< of the program */
	char if_name[MIF_NAME_LEN];	/**< of the port */
};

/** A ring as ADD_RING describes it. */
struct mif_ring_place {
	uint16_t region;
	uint32_t offset; /**< bytes from the start of the region */
	uint8_t log2_ring_size;
};

/** What the client's driver has made, or what the server's has got so far. */
struct mif_geometry {
	uint16_t regions;
	uint16_t rings[MIF_DIRS];
	uint64_t region_size[MIF_REGIONS_MAX]; /**< bytes */
	struct mif_ring_place ring[MIF_DIRS][MIF_RINGS_MAX];
};

/** What the caller has to do. */
enum mif_action_type {
	MIF_ACT_SEND,  /**< send msg; with the file of region index when it is ADD_REGION, with
				  the eventfd of ring (dir, index) when it is ADD_RING */
	MIF_ACT_BUILD, /**< client: make memory for geometry.rings and ring_size, then call
				  mif_conn_built() */
	MIF_ACT_BIND,  /**< server: find the port of conn->id, then call mif_conn_bound() */
	MIF_ACT_TAKE_REGION, /**< server: the file that came with the message is region index */
	MIF_ACT_TAKE_RING,   /**< server: the eventfd that came is that of ring (dir, index) */
	MIF_ACT_UP,	     /**< both: let packets move */
	MIF_ACT_CLOSE,	     /**< it is over; conn->reason says why */
};

/** One thing to do. */
struct mif_action {
	enum mif_action_type type;
	enum mif_dir dir;
	uint16_t index;
	struct mif_msg msg;
};

#define MIF_ACTIONS_MAX 2 /**< the longest list that one event makes */

/** The list of things to do, in order. If one fails, mif_conn_fail() replaces those behind it. */
struct mif_actions {
	unsigned int count;
	struct mif_action list[MIF_ACTIONS_MAX];
};

/** One control connection. */
struct mif_conn {
	enum mif_role role;
	enum mif_state state;
	const struct mif_conn_cfg *cfg; /**< server: NULL until bound */
	struct mif_limits limits;	/**< client: the server's; server: its own */
	struct mif_geometry geometry;
	uint32_t id;		/**< server: what the client asked for */
	uint8_t log2_ring_size; /**< client: agreed */
	uint8_t mode;		/**< server: of the client's INIT */
	uint8_t secret[MIF_SECRET_LEN];
	enum mif_dir dir; /**< client: direction of the ring whose ADD_RING is out */
	uint16_t index;	  /**< client: region or ring whose message is out */
	char peer_name[MIF_NAME_LEN + 1];
	char peer_if_name[MIF_NAME_LEN + 1];
	char reason[MIF_REASON_LEN + 1]; /**< why it closed */
	bool by_peer;			 /**< the reason is the peer's */
	bool ring_refused; /**< client: the peer left while it was offered ring (dir, index) */
};

/** Client: the socket is connected. */
void mif_conn_start_client(struct mif_conn *conn, const struct mif_conn_cfg *cfg);

/**
 * Server: a client was accepted.
 *
 * @param name    of the program, for HELLO
 * @param limits  what HELLO announces and what is enforced
 */
void mif_conn_start_server(struct mif_conn *conn, const char *name, const struct mif_limits *limits,
		struct mif_actions *actions);

/** A message of 128 bytes came, with so many file descriptors. */
void mif_conn_message(struct mif_conn *conn, const struct mif_msg *msg, unsigned int fds,
		struct mif_actions *actions);

/** Client, after MIF_ACT_BUILD: conn->geometry is filled in and the memory is there. */
void mif_conn_built(struct mif_conn *conn, struct mif_actions *actions);

/**
 * Server, after MIF_ACT_BIND.
 *
 * @param cfg      of the port with the client's id, or NULL when there is none
 * @param refusal  why that port takes no client now, or NULL; said only to a client with the secret
 */
void mif_conn_bound(struct mif_conn *conn, const struct mif_conn_cfg *cfg, const char *refusal,
		struct mif_actions *actions);

/** This end gives up: say so to the peer, and close. Nothing happens when already closed. */
void mif_conn_fail(struct mif_conn *conn, const char *reason, struct mif_actions *actions);

/** The socket was closed by the peer, or broke. */
void mif_conn_hangup(struct mif_conn *conn, const char *reason, struct mif_actions *actions);

#endif /* MEMIF_CONN_H */

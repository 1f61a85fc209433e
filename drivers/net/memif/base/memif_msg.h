/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * The control messages: one table of who may send which message when, and their builders.
 */

#ifndef MEMIF_MSG_H
#define MEMIF_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memif_abi.h"

/** Where a control connection stands. */
enum mif_state {
	MIF_STATE_CLOSED = 0,	  /**< over, or not begun */
	MIF_STATE_WAIT_HELLO,	  /**< client: connected, the server speaks first */
	MIF_STATE_BUILD,	  /**< client: its own driver makes the memory */
	MIF_STATE_WAIT_INIT_ACK,  /**< client: INIT is out */
	MIF_STATE_ADD_REGION,	  /**< client: an ADD_REGION is out */
	MIF_STATE_ADD_RING,	  /**< client: an ADD_RING is out */
	MIF_STATE_WAIT_CONNECTED, /**< client: CONNECT is out */
	MIF_STATE_WAIT_INIT,	  /**< server: HELLO is out */
	MIF_STATE_BIND,		  /**< server: its own driver looks for the port */
	MIF_STATE_SETUP,	  /**< server: takes regions and rings until CONNECT */
	MIF_STATE_UP,		  /**< both: packets move */
};

#define MIF_STATES 11 /**< number of states */

/** What is allowed of one type of message. */
struct mif_msg_rule {
	const char *name;
	uint8_t senders;    /**< bit per enum mif_role */
	uint8_t fds;	    /**< file descriptors that travel with it: 0 or 1 */
	uint16_t rx_states; /**< bit per enum mif_state in which a receiver takes it */
};

/** Rule of a message type, or NULL for a type that nobody may send. */
const struct mif_msg_rule *mif_msg_rule(uint16_t type);

/** Name of a message type for logs; never NULL. */
const char *mif_msg_name(uint16_t type);

/** Name of a state for logs; never NULL. */
const char *mif_state_name(enum mif_state state);

/**
 * May this message come now?
 *
 * @param receiver  role of the end that got it
 * @param fds       file descriptors that came with it
 * @return NULL when it may, else the reason to disconnect with (a string constant)
 */
const char *mif_msg_check(enum mif_role receiver, enum mif_state state, const struct mif_msg *msg,
		unsigned int fds);

/**
 * Take a string out of a message, where it may fill its array to the last byte.
 *
 * What is not printable ASCII becomes '?', so that a peer cannot forge log lines.
 *
 * @param to    gets a terminated string
 * @param size  bytes of to, at least 1
 * @param from  array in the message
 * @param max   bytes of that array
 */
void mif_msg_get_string(char *to, size_t size, const uint8_t *from, size_t max);

/** Put a string into a message's array of max bytes; a longer one is cut, the rest stays zero. */
void mif_msg_put_string(uint8_t *to, size_t max, const char *from);

/** What a server says of itself; counts, not highest indices. */
struct mif_limits {
	uint16_t regions;
	uint16_t rings[MIF_DIRS];
	uint8_t log2_ring_size;
};

struct mif_msg mif_msg_ack(void);
struct mif_msg mif_msg_hello(const char *name, const struct mif_limits *limits);
struct mif_msg mif_msg_init(uint32_t id, uint8_t mode, const uint8_t secret[MIF_SECRET_LEN],
		const char *name);
struct mif_msg mif_msg_add_region(uint16_t index, uint64_t size);
struct mif_msg mif_msg_add_ring(enum mif_dir dir, uint16_t index, uint16_t region, uint32_t offset,
		uint8_t log2_ring_size);
struct mif_msg mif_msg_connect(const char *if_name);
struct mif_msg mif_msg_connected(const char *if_name);
struct mif_msg mif_msg_disconnect(const char *reason);

#endif /* MEMIF_MSG_H */

/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * What the primary process and a secondary one say to each other: over a socket pair of
 * SOCK_SEQPACKET, in messages of one size. Both are of one program's owner and trust each other.
 *
 *     secondary                     primary
 *     ATTACH, a port it has  ->
 *                            <-     WELCOME  its number, and a file that wakes the control thread
 *                            <-     LINK     regions and files of the port's connection, in parts
 *                            <-     KEEP     the connections that are left; unmap all others
 *     DETACH                 ->
 *
 * The end of the socket is the end of the secondary.
 */

#ifndef MEMIF_MP_CHAN_H
#define MEMIF_MP_CHAN_H

#include <stdbool.h>
#include <stdint.h>

/** Files in a message, and connections that KEEP can name. */
#define MIF_MP_ITEMS 64

enum mif_mp_type {
	MIF_MP_ATTACH = 1,
	MIF_MP_DETACH,
	MIF_MP_WELCOME,
	MIF_MP_LINK,
	MIF_MP_KEEP,
};

/** A file of a connection, and what it is for. */
struct mif_mp_item {
	uint64_t addr; /**< of a region in the primary; 0 for the eventfd of a transmit ring */
	uint64_t size;
	uint64_t page_size;
	uint16_t index; /**< of the region, or the ring */
	uint16_t sealed;
	uint32_t unused;
};

/** One message; unused bytes are zero. */
struct mif_mp_msg {
	uint32_t type;	     /**< enum mif_mp_type */
	uint16_t port;	     /**< number of the ethdev, the same in all processes */
	uint16_t count;	     /**< LINK: items here, each with a file; KEEP: connections */
	uint64_t generation; /**< LINK: of the connection */
	uint64_t shared;  /**< LINK: address of its struct mif_shared, the same in all processes */
	uint32_t total;	  /**< LINK: items of all parts; 0 if it cannot be followed */
	uint32_t process; /**< WELCOME: number of the secondary, above MIF_GATE_PRIMARY */
	uint32_t fence;	  /**< WELCOME: its bursts have to use a fence each */
	uint32_t unused;
	union {
		struct mif_mp_item items[MIF_MP_ITEMS]; /**< LINK */
		uint64_t keep[MIF_MP_ITEMS];		/**< KEEP: generations */
	};
};

/**
 * Send a message.
 *
 * @param fds    travel with it, and stay the caller's
 * @param count  how many, at most MIF_MP_ITEMS
 * @return 0; -EAGAIN when the other end does not read; another negative errno
 */
int mif_mp_send(int sock, const struct mif_mp_msg *msg, const int *fds, unsigned int count);

/**
 * Receive a message.
 *
 * @param fds    gets its files, the caller's from here on; room for MIF_MP_ITEMS
 * @param count  gets their number
 * @return 0; -EAGAIN when there is none; -ECONNRESET when the other end has closed; -EMFILE when its
 *         files could not be had, the message could; -EPROTO for anything else than a message;
 *         another negative errno. On errors no file is left open.
 */
int mif_mp_recv(int sock, struct mif_mp_msg *msg, int *fds, unsigned int *count);

#endif /* MEMIF_MP_CHAN_H */

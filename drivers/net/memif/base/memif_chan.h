/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * The control channel: messages of 128 bytes and their file descriptors over SOCK_SEQPACKET. Nothing
 * here blocks, and every received descriptor is either handed on or closed.
 */

#ifndef MEMIF_CHAN_H
#define MEMIF_CHAN_H

#include "memif_abi.h"

/** A message and the file descriptor that came with it. */
struct mif_chan_msg {
	struct mif_msg msg;
	unsigned int fds; /**< how many came; all but the first are closed already */
	int fd;		  /**< the first, or -1; the receiver closes it or hands it on */
};

/**
 * Receive one message.
 *
 * @return 0; -EAGAIN when there is none; -ECONNRESET when the peer has closed; -EPROTO when it is not
 *         128 bytes long or its control data was cut; another negative errno of recvmsg(). On any
 *         error no descriptor is left open.
 */
int mif_chan_recv(int sock, struct mif_chan_msg *in);

/**
 * Send one message.
 *
 * @param fd  travels with it, or -1; stays the caller's
 * @return 0; -EAGAIN when the peer does not read; another negative errno of sendmsg()
 */
int mif_chan_send(int sock, const struct mif_msg *msg, int fd);

/**
 * Close the channel. What the peer has sent and nobody has read is dropped first: otherwise the
 * kernel would tell the peer of a reset before our last message.
 */
void mif_chan_close(int sock);

#endif /* MEMIF_CHAN_H */

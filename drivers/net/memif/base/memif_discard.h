/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * Closing files that a peer sent. That can take as long as the peer likes: a TCP socket that lingers,
 * a file of a FUSE file system that does not answer. So what is not known to be harmless is closed
 * on threads of their own, and the control thread goes on.
 */

#ifndef MEMIF_DISCARD_H
#define MEMIF_DISCARD_H

#include <stdbool.h>

/** Threads that close, at most; what comes when all of them are stuck waits, and stays open. */
#define MIF_DISCARD_THREADS 16

/**
 * Close a file of a peer without waiting for it. Any thread.
 *
 * @param fd  not the caller's any more; a negative one is nothing
 */
void mif_discard_fd(int fd);

/** Is everything closed? For tests: it may never be, if a peer does not like. */
bool mif_discard_idle(void);

#endif /* MEMIF_DISCARD_H */

/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * Waking a sleeping peer through its eventfd, in a way that cannot block.
 *
 * The peer shares the eventfd's file description: it can clear O_NONBLOCK and fill the counter, and
 * then write() would sleep for ever. The kernel's own signal at the end of an asynchronous read
 * (IOCB_FLAG_RESFD of io_submit(2)) never does.
 */

#ifndef MEMIF_NOTIFY_H
#define MEMIF_NOTIFY_H

#include <linux/aio_abi.h>
#include <stdatomic.h>
#include <stdbool.h>

/** One per process, used by all its threads. */
struct mif_notifier {
	aio_context_t aio;
	int file;	   /**< something to read nothing from */
	atomic_uint count; /**< wake-ups so far; decides when to take back the completions */
};

/**
 * @return 0, or a negative errno: -EAGAIN when the system's limit fs.aio-max-nr is reached. Then
 *         *notifier can be used, and wakes nobody.
 */
int mif_notifier_open(struct mif_notifier *notifier);

void mif_notifier_close(struct mif_notifier *notifier);

/**
 * Wake the peer: add one to its eventfd. Any thread; a system call.
 *
 * @return 0, or a negative errno when the peer was not woken
 */
int mif_notify(struct mif_notifier *notifier, int eventfd);

/** Is this file descriptor an eventfd? Other files are refused: signalling them may do anything. */
bool mif_is_eventfd(int fd);

#endif /* MEMIF_NOTIFY_H */

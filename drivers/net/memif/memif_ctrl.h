/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * The control thread: waits for sockets and timers of all ports of this process, and calls their
 * handlers. It starts with the first port and ends with the last.
 *
 * One lock guards all connection state of the process. Handlers run with it held; ethdev operations
 * take it on the application's threads; bursts never do. It is not held while an application's
 * link callback runs, so a callback may call any ethdev function.
 */

#ifndef MEMIF_CTRL_H
#define MEMIF_CTRL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct mif_notifier;
struct mif_port;

/** A file that the control thread waits for. Embedded in its owner. */
struct mif_watch {
	int fd;
	void (*ready)(struct mif_watch *watch, uint32_t epoll_events);
	void (*bury)(struct mif_watch *watch); /**< frees the owner; see mif_ctrl_bury() */
	STAILQ_ENTRY(mif_watch) next_dead;
};

/** Something to do later. Embedded in its owner, all zero before its first use. */
struct mif_timer {
	uint64_t due; /**< in milliseconds of mif_ctrl_now() */
	bool armed;
	void (*fire)(struct mif_timer *timer);
	TAILQ_ENTRY(mif_timer) next;
};

/** Take and release the lock. */
void mif_ctrl_lock(void);
void mif_ctrl_unlock(void);

/**
 * Be a user of the thread; the first one starts it. For ports of a secondary process, which are in
 * no list. Lock held.
 *
 * @return 0, or a negative errno after a log line
 */
int mif_ctrl_join(void);

/** Undo mif_ctrl_join(), as mif_ctrl_remove_port() does. Takes and releases the lock itself. */
void mif_ctrl_leave(void);

/**
 * Add a port; the first one starts the thread. Lock held.
 *
 * @return 0, or a negative errno after a log line
 */
int mif_ctrl_add_port(struct mif_port *port);

/**
 * Remove a port. Takes and releases the lock itself.
 *
 * The last one ends the thread, and waits for its end; but not on the control thread itself, nor
 * while it runs an application's callback, which may need what the caller holds. It ends by itself
 * then.
 */
void mif_ctrl_remove_port(struct mif_port *port);

/** The ports of this process, NULL without; lock held. */
TAILQ_HEAD(mif_port_list, mif_port);
struct mif_port_list *mif_ctrl_ports(void);

/** Milliseconds of a clock that never goes back. */
uint64_t mif_ctrl_now(void);

/**
 * Wait for watch->fd to be readable. Lock held.
 *
 * @return 0, or a negative errno
 */
int mif_ctrl_watch(struct mif_watch *watch);

/** Stop waiting; the caller still owns, and closes, the file. Lock held. */
void mif_ctrl_unwatch(struct mif_watch *watch);

/**
 * Free the owner of an unwatched watch, by watch->bury(), as soon as no event that the control
 * thread may have fetched before can name it. Lock held.
 */
void mif_ctrl_bury(struct mif_watch *watch);

/** Call timer->fire() in so many milliseconds; replaces an earlier time. Lock held. */
void mif_ctrl_arm(struct mif_timer *timer, uint64_t ms);

void mif_ctrl_disarm(struct mif_timer *timer);

/**
 * For who waits for a peer, which may be a port of this process: on the control thread, in an
 * application's callback, do what has come for the sockets meanwhile. Nothing on other threads.
 * Lock held.
 */
void mif_ctrl_serve(void);

/**
 * Have the control thread look after receivers that go to sleep, see mif_queue_look_after(), until
 * it has for all of them. Any thread; never blocks, and is a system call only if it does not
 * already.
 */
void mif_ctrl_look_after(void);

/** Make the control thread look at its timers and ports now. Any thread; never blocks. */
void mif_ctrl_kick(void);

/** The eventfd that mif_ctrl_kick() writes to, for signal handlers. */
int mif_ctrl_kick_fd(void);

/** What wakes sleeping peers; there is one as long as there is a port. */
struct mif_notifier *mif_ctrl_notifier(void);

#endif /* MEMIF_CTRL_H */

/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * A folder of this process alone, and one socket file in it. Programs with it are linked with
 * -Wl,--wrap=listen, so that a test can look and act at the moment before listen(2).
 */

#ifndef SOCK_PLACE_H
#define SOCK_PLACE_H

#include <stdbool.h>
#include <sys/stat.h>

#include "memif_sock.h"

extern char place_folder[];
extern struct mif_sockaddr place; /**< of the file "sock" in that folder */

/** Neither owner nor mode are asked for. */
extern const struct mif_sock_access place_plain;

/** Called once before the next listen(2), which fails if this is not 0. */
extern int (*place_before_listen)(void);

/** Group set-up and tear-down; the latter fails when a test has left a file there. */
int place_make(void **state);
int place_remove(void **state);

/** A socket file as a process leaves it that was killed. */
void place_leave_stale(int type);

/** The file's number; it has to be there. */
ino_t place_inode(void);

bool place_exists(void);

#endif /* SOCK_PLACE_H */

/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * The control thread's place, taken by the fuzz target: memif_ctrl.h without a thread and with a
 * clock of its own, so that a run can be repeated. It also watches over the rules of that header.
 */

#ifndef TURNS_H
#define TURNS_H

#include <stdbool.h>
#include <stdint.h>

/** Do what the control thread does between two waits. Returns whether there was something to do. */
bool turns_one(void);

/** Take turns until there is nothing to do. */
void turns_all(void);

/** Let time pass; timers fire in the turns after it. */
void turns_pass(uint64_t ms);

/** How often the control thread was kicked. */
extern uint64_t turns_kicks;

/** Files that are watched, and timers that are armed. */
unsigned int turns_watched(void);
unsigned int turns_armed(void);

#endif /* TURNS_H */

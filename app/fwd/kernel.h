/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * The kernel's end of the exception path.
 */

#ifndef FWD_KERNEL_H
#define FWD_KERNEL_H

#include "fwd.h"

/**
 * Gives the kernel's interface the network port's MAC address and MTU, the address and mask of the
 * command line, and sets it up. It goes, with all that, when its port is closed.
 *
 * @return 0 or negative errno, after a message on stderr; 0 also without an exception path
 */
int kernel_set_up(const struct fwd *fwd);

#endif /* FWD_KERNEL_H */

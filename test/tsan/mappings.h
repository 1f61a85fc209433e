/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * One address for both ends of a connection; see mappings.c.
 */

#ifndef TSAN_MAPPINGS_H
#define TSAN_MAPPINGS_H

/** How often a file was mapped that was mapped already; 0 would mean that nothing is compared. */
unsigned int mappings_shared(void);

#endif /* TSAN_MAPPINGS_H */

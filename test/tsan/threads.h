/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * The threads of the race test.
 */

#ifndef TSAN_THREADS_H
#define TSAN_THREADS_H

#include <stdint.h>

/** All of them, until the time is over; then they are gone. */
void threads_run(uint32_t seed, unsigned int seconds);

#endif /* TSAN_THREADS_H */

/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * What the unit tests share: cmocka with its includes, skips that say why, and a count of what a
 * process holds.
 */

#ifndef UNIT_H
#define UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/** File descriptors and mappings that this process has. */
struct unit_holdings {
	unsigned int fds;  /**< entries of /proc/self/fd */
	unsigned int maps; /**< lines of /proc/self/maps that belong to a file */
};

/** Wait until what could take its time to close is closed; see memif_discard.h. */
void unit_wait_for_discards(void);

/** Count, after that; without allocating, so that counting changes nothing. */
struct unit_holdings unit_holdings(void);

/** Fail unless the process holds what it held at that time. */
#define assert_holdings(before) unit_assert_holdings((before), __FILE__, __LINE__)
void unit_assert_holdings(struct unit_holdings before, const char *file, int line);

/** Leave this test as skipped; the reason (a string constant) is printed with it. */
void unit_skip(const char *reason) __attribute__((noreturn));

/** Numbers that look random and are the same in every run. */
static inline uint32_t
unit_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

#endif /* UNIT_H */

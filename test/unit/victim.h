/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * Memory that is pulled away, and children in which that may end the process.
 */

#ifndef VICTIM_H
#define VICTIM_H

#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

#define PAGES 8
#define PAGE ((uint64_t)sysconf(_SC_PAGESIZE))
#define BROKEN 77u

/* Without ThreadSanitizer, which takes a handler's mmap() for another thread's write to the page. */
#define BY_DESIGN __attribute__((no_sanitize("thread")))

/** A mapping of a file that will be cut short, of so many pages. */
struct victim {
	int fd;
	uint64_t page_size;
	uint8_t *addr;
	uint32_t fault;
	int wake_fd;
};

/** @return false when there is no such memory */
bool victim_open(struct victim *victim, unsigned int memfd_flags, uint64_t page_size);

/** Without its guard then. */
void victim_close(struct victim *victim);

/** Guard so many of its pages, or all; 0 or a negative errno. */
int guard_part(struct victim *victim, uint64_t first, uint64_t pages);
int guard(struct victim *victim);

/** What the handler has written, behind the compiler's back. */
uint32_t fault_of(const struct victim *victim);

/** How often it has woken, since this was asked before. */
uint64_t woken(const struct victim *victim);

/** Read or write a byte of it. */
uint8_t peek(const struct victim *victim, uint64_t offset);
void poke(struct victim *victim, uint64_t offset, uint8_t value);

/** How a child ended that ran this: its exit status, or the signal's number negated. */
int in_child(int (*run)(void));

#endif /* VICTIM_H */

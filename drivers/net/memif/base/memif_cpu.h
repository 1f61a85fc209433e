/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * What is done in another way on some CPUs, as it was measured to be faster there; doc/performance
 * has the numbers.
 */

#ifndef MEMIF_CPU_H
#define MEMIF_CPU_H

#include <stdbool.h>

static inline bool
mif_cpu_is_amd(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_cpu_init();
	return __builtin_cpu_is("amd") != 0;
#else
	return false;
#endif
}

/** Do buffers that the server fills lie as close to each other as lines allow? */
static inline bool
mif_cpu_receives_into_close_buffers(void)
{
	return mif_cpu_is_amd();
}

/**
 * Does transmit take the lines of all packets from the peer (PREFETCHW) before it copies to them?
 * Else those of long packets only.
 */
static inline bool
mif_cpu_takes_lines_early(void)
{
	return !mif_cpu_is_amd();
}

#endif /* MEMIF_CPU_H */

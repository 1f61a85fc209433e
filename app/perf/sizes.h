/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * Packet lengths as a pattern that repeats: one size, or a mix by weights.
 */

#ifndef PERF_SIZES_H
#define PERF_SIZES_H

#include <stdint.h>

#define SIZES_MAX 128	 /**< packets in a pattern */
#define SIZE_SMALLEST 60 /**< an Ethernet frame without its checksum */
#define SIZE_LARGEST 16000

/** Packet n of a stream is length[n % count] bytes long. */
struct sizes {
	uint32_t count;
	uint32_t largest;
	uint64_t sum[SIZES_MAX + 1]; /**< bytes of the first i packets */
	uint16_t length[SIZES_MAX];
};

/**
 * Read "64", "imix", or sizes with weights, "64:7,594:4,1518:1".
 *
 * @return 0; -EINVAL after a message on stderr
 */
int sizes_parse(struct sizes *sizes, const char *text);

/** Bytes of the first so many packets of a stream. */
uint64_t sizes_bytes(const struct sizes *sizes, uint64_t packets);

#endif /* PERF_SIZES_H */

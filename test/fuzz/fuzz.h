/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * What the fuzz targets share: reading an input as numbers, and a check that says what was wrong.
 *
 * An input that has run out gives zeros, so every input means something, and a shorter one too.
 */

#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/** End with a report, unless the condition holds: the sanitizer's runtime then prints the stack. */
#define FUZZ_CHECK(condition, ...) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: not so: %s: ", __FILE__, __LINE__, #condition); \
			fprintf(stderr, __VA_ARGS__); \
			fputc('\n', stderr); \
			abort(); \
		} \
	} while (0)

/** libFuzzer's entry points. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/** What is left of an input. */
struct fuzz_input {
	const uint8_t *at;
	size_t left;
};

/** Take bytes; what is missing is zero. */
static inline void
fuzz_bytes(struct fuzz_input *in, void *to, size_t count)
{
	size_t there = count < in->left ? count : in->left;

	memset(to, 0, count);
	if (there != 0)
		memcpy(to, in->at, there);
	in->at += there;
	in->left -= there;
}

static inline uint8_t
fuzz_u8(struct fuzz_input *in)
{
	uint8_t value;

	fuzz_bytes(in, &value, sizeof(value));
	return value;
}

static inline uint16_t
fuzz_u16(struct fuzz_input *in)
{
	uint16_t value;

	fuzz_bytes(in, &value, sizeof(value));
	return value;
}

static inline uint32_t
fuzz_u32(struct fuzz_input *in)
{
	uint32_t value;

	fuzz_bytes(in, &value, sizeof(value));
	return value;
}

static inline uint64_t
fuzz_u64(struct fuzz_input *in)
{
	uint64_t value;

	fuzz_bytes(in, &value, sizeof(value));
	return value;
}

/** A number from low to high, both included; at most 255 apart. */
static inline uint32_t
fuzz_range(struct fuzz_input *in, uint32_t low, uint32_t high)
{
	return low + fuzz_u8(in) % (high - low + 1);
}

#endif /* FUZZ_H */

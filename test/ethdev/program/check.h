/* SPDX-License-Identifier: BSD-3-Clause */

/** @file What a case of mif-ethdev consists of, and how it says what is wrong. */

#ifndef CHECK_H
#define CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "ports.h"

/** A case: uses the two ports it was given roles for, which are closed behind it. */
struct test_case {
	const char *name;
	void (*run)(struct pair *pair);
};

/** Cases of one file; the last one has no name. */
extern const struct test_case queue_cases[];
extern const struct test_case queue_start_cases[];
extern const struct test_case port_cases[];
extern const struct test_case stats_cases[];
extern const struct test_case short_cases[];
extern const struct test_case packet_cases[];
extern const struct test_case power_cases[];
extern const struct test_case leaving_cases[];
extern const struct test_case lent_cases[];
extern const struct test_case kept_cases[];
extern const struct test_case freed_cases[];
extern const struct test_case outlive_cases[];
extern const struct test_case pinned_cases[];
extern const struct test_case checksum_cases[];
extern const struct test_case vlan_cases[];
extern const struct test_case tso_cases[];
extern const struct test_case ip_cases[];
extern const struct test_case stream_cases[];

/** What the driver reports, one line per feature of DPDK's guide. */
void print_features(void);

/** The case has failed; what and where is printed. */
void check_failed(const char *file, int line, const char *format, ...)
		__attribute__((format(printf, 3, 4)));

/** Ends the case, which has to be a void function, when the condition does not hold. */
#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			check_failed(__FILE__, __LINE__, "%s", #condition); \
			return; \
		} \
	} while (0)

/** The same, with both values. */
#define CHECK_EQ(have, want) \
	do { \
		long long have_ = (long long)(have), want_ = (long long)(want); \
		if (have_ != want_) { \
			check_failed(__FILE__, __LINE__, "%s is %lld, not %lld", #have, have_, \
					want_); \
			return; \
		} \
	} while (0)

/** A step in a function of its own: returns when the step has failed. */
#define STEP(call) \
	do { \
		call; \
		if (case_has_failed()) \
			return; \
	} while (0)

bool case_has_failed(void);

#endif /* CHECK_H */

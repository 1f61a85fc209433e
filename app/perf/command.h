/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * What main.c knows of a sub-command.
 */

#ifndef PERF_COMMAND_H
#define PERF_COMMAND_H

#include "options.h"

struct command {
	const char *name;
	const char *summary; /**< one line, for the usage */
	const struct option_spec *options;
	/** Runs it after the options have been read. @return exit status of the program */
	int (*run)(void);
};

extern const struct command command_throughput;
extern const struct command command_latency;
extern const struct command command_idle;
extern const struct command command_connect;
extern const struct command command_hold;
extern const struct command command_limit;

#endif /* PERF_COMMAND_H */

/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * Command-line options as tables: name, kind, where the value goes, limits, help.
 */

#ifndef COMMON_OPTIONS_H
#define COMMON_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

/** Begins each message; every program defines its own. */
extern const char program_name[];

enum option_kind {
	OPTION_NUMBER,	/**< value: uint64_t, between low and high */
	OPTION_SECONDS, /**< value: double, not negative */
	OPTION_FLAG,	/**< value: bool; the option has no argument */
	OPTION_CHOICE,	/**< value: uint64_t, the index of a word of choices */
	OPTION_TEXT,	/**< value: const char * */
};

/** One option; a table of them ends with a name of NULL. What value holds first is the default. */
struct option_spec {
	const char *name;
	enum option_kind kind;
	void *value;
	uint64_t low;
	uint64_t high;
	const char *const *choices; /**< of OPTION_CHOICE, up to a NULL */
	const char *help;
};

#define NUMBER_OPTION(name_, value_, low_, high_, help_) \
	{ \
		.name = name_, .kind = OPTION_NUMBER, .value = value_, .low = low_, .high = high_, \
		.help = help_ \
	}
#define SECONDS_OPTION(name_, value_, help_) \
	{ \
		.name = name_, .kind = OPTION_SECONDS, .value = value_, .help = help_ \
	}
#define FLAG_OPTION(name_, value_, help_) \
	{ \
		.name = name_, .kind = OPTION_FLAG, .value = value_, .help = help_ \
	}
#define CHOICE_OPTION(name_, value_, choices_, help_) \
	{ \
		.name = name_, .kind = OPTION_CHOICE, .value = value_, .choices = choices_, \
		.help = help_ \
	}
#define TEXT_OPTION(name_, value_, help_) \
	{ \
		.name = name_, .kind = OPTION_TEXT, .value = value_, .help = help_ \
	}
#define END_OF_OPTIONS \
	{ \
		.name = NULL \
	}

/**
 * Read options, --name value or --name=value.
 *
 * @param argv  the first one is argv[1]
 * @return 0; 1 when --help or -h is among them; -EINVAL after a message on stderr
 */
int options_parse(const struct option_spec *specs, int argc, char **argv);

/** Print a table of options with their defaults, indented. */
void options_print(const struct option_spec *specs);

#endif /* COMMON_OPTIONS_H */

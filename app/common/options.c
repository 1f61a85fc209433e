/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

static void
complain(const char *name, const char *text, const char *wanted)
{
	fprintf(stderr, "%s: --%s %s: wants %s\n", program_name, name, text, wanted);
}

static int
set_number(const struct option_spec *spec, const char *text)
{
	unsigned long long value;
	char wanted[80];
	char *end;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno == 0 && text[0] >= '0' && text[0] <= '9' && *end == '\0' && value >= spec->low &&
			value <= spec->high) {
		*(uint64_t *)spec->value = value;
		return 0;
	}
	snprintf(wanted, sizeof(wanted), "a number from %" PRIu64 " to %" PRIu64, spec->low,
			spec->high);
	complain(spec->name, text, wanted);
	return -EINVAL;
}

static int
set_seconds(const struct option_spec *spec, const char *text)
{
	char *end;
	double value = strtod(text, &end);

	if (end != text && *end == '\0' && isfinite(value) && value >= 0) {
		*(double *)spec->value = value;
		return 0;
	}
	complain(spec->name, text, "a number of seconds, as 1 or 0.5");
	return -EINVAL;
}

static int
set_choice(const struct option_spec *spec, const char *text)
{
	char wanted[160] = "one of";
	size_t used;

	for (uint64_t i = 0; spec->choices[i] != NULL; i++) {
		if (strcmp(text, spec->choices[i]) == 0) {
			*(uint64_t *)spec->value = i;
			return 0;
		}
		used = strlen(wanted);
		snprintf(wanted + used, sizeof(wanted) - used, " %s", spec->choices[i]);
	}
	complain(spec->name, text, wanted);
	return -EINVAL;
}

static int
set(const struct option_spec *spec, const char *text)
{
	switch (spec->kind) {
	case OPTION_NUMBER:
		return set_number(spec, text);
	case OPTION_SECONDS:
		return set_seconds(spec, text);
	case OPTION_CHOICE:
		return set_choice(spec, text);
	case OPTION_TEXT:
		*(const char **)spec->value = text;
		return 0;
	case OPTION_FLAG:
		break;
	}
	return -EINVAL;
}

static const struct option_spec *
find(const struct option_spec *specs, const char *name, size_t length)
{
	for (; specs->name != NULL; specs++)
		if (strlen(specs->name) == length && strncmp(specs->name, name, length) == 0)
			return specs;
	return NULL;
}

/* --name value or --name=value; returns how many words it took. */
static int
parse_one(const struct option_spec *specs, int argc, char **argv)
{
	const struct option_spec *spec = NULL;
	const char *name = argv[0] + 2;
	const char *equals;
	size_t length;

	if (strncmp(argv[0], "--", 2) == 0) {
		equals = strchr(name, '=');
		length = equals != NULL ? (size_t)(equals - name) : strlen(name);
		spec = find(specs, name, length);
	}
	if (spec == NULL) {
		fprintf(stderr, "%s: unknown option %s; --help lists them\n", program_name,
				argv[0]);
		return -EINVAL;
	}
	if (equals != NULL && spec->kind != OPTION_FLAG)
		return set(spec, equals + 1) != 0 ? -EINVAL : 1;
	if (spec->kind == OPTION_FLAG && equals == NULL) {
		*(bool *)spec->value = true;
		return 1;
	}
	if (spec->kind == OPTION_FLAG || argc < 2) {
		fprintf(stderr, "%s: --%s %s\n", program_name, spec->name,
				spec->kind == OPTION_FLAG ? "takes no value" : "wants a value");
		return -EINVAL;
	}
	return set(spec, argv[1]) != 0 ? -EINVAL : 2;
}

int
options_parse(const struct option_spec *specs, int argc, char **argv)
{
	int used;

	for (int i = 1; i < argc; i += used) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return 1;
		used = parse_one(specs, argc - i, &argv[i]);
		if (used < 0)
			return used;
	}
	return 0;
}

static void
describe_default(const struct option_spec *spec, char *text, size_t size)
{
	const char *word;

	text[0] = '\0';
	switch (spec->kind) {
	case OPTION_NUMBER:
		snprintf(text, size, " (%" PRIu64 ")", *(const uint64_t *)spec->value);
		break;
	case OPTION_SECONDS:
		snprintf(text, size, " (%g)", *(const double *)spec->value);
		break;
	case OPTION_CHOICE:
		snprintf(text, size, " (%s)", spec->choices[*(const uint64_t *)spec->value]);
		break;
	case OPTION_TEXT:
		word = *(const char *const *)spec->value;
		if (word != NULL)
			snprintf(text, size, " (%s)", word);
		break;
	case OPTION_FLAG:
		break;
	}
}

void
options_print(const struct option_spec *specs)
{
	static const char *const arguments[] = {
		[OPTION_NUMBER] = " N",
		[OPTION_SECONDS] = " S",
		[OPTION_FLAG] = "",
		[OPTION_CHOICE] = " WORD",
		[OPTION_TEXT] = " TEXT",
	};
	char left[40], right[80];

	for (; specs->name != NULL; specs++) {
		snprintf(left, sizeof(left), "--%s%s", specs->name, arguments[specs->kind]);
		describe_default(specs, right, sizeof(right));
		printf("  %-20s %s%s\n", left, specs->help, right);
	}
}

/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * Results as tables: for people on stdout, and the same numbers as JSON in a file.
 */

#ifndef PERF_REPORT_H
#define PERF_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "ports.h"

#define TABLE_COLUMNS 16
#define CELL_TEXT 64

struct cell {
	const char *column;
	bool number;
	double value;
	char text[CELL_TEXT]; /**< as it is printed */
};

/** Rows of named cells; every row has the columns of the first one, in the same order. */
struct table {
	const char *name; /**< of its array in JSON */
	unsigned int rows;
	unsigned int columns;
	unsigned int filled; /**< cells of the last row */
	struct cell (*row)[TABLE_COLUMNS];
};

void table_init(struct table *table, const char *name);

void table_free(struct table *table);

/** Begin another row. */
void table_row(struct table *table);

/** Add a cell to the last row. @param column  a string that stays */
void table_text(struct table *table, const char *column, const char *text);

/** @param decimals  digits behind the point, in print; JSON has all of them */
void table_number(struct table *table, const char *column, double value, int decimals);

/** Print it, with a line of the columns' names. */
void table_print(const struct table *table);

/**
 * Say early that a file for the results cannot be written, rather than after minutes.
 *
 * @param path  NULL: none is wanted
 * @return 0 or negative errno, after a message on stderr
 */
int report_check(const char *path);

/**
 * Write tables to a JSON file.
 *
 * @param path   NULL: nothing is written
 * @param ports  NULL: the command has none
 * @return 0 or negative errno, after a message on stderr
 */
int report_write(const char *path, const char *command, const struct ports *ports,
		const struct table *const *tables, unsigned int count);

#endif /* PERF_REPORT_H */

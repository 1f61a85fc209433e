/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <rte_cycles.h>
#include <rte_debug.h>
#include <rte_version.h>

#include "report.h"

void
table_init(struct table *table, const char *name)
{
	memset(table, 0, sizeof(*table));
	table->name = name;
}

void
table_free(struct table *table)
{
	free(table->row);
	table_init(table, table->name);
}

void
table_row(struct table *table)
{
	/* Grown in powers of two. */
	if ((table->rows & (table->rows - 1)) == 0) {
		size_t room = table->rows == 0 ? 1 : table->rows * (size_t)2;

		table->row = realloc(table->row, room * sizeof(*table->row));
		if (table->row == NULL)
			rte_panic("no memory for a table of results\n");
	}
	memset(table->row[table->rows++], 0, sizeof(*table->row));
	table->filled = 0;
}

static struct cell *
add_cell(struct table *table, const char *column)
{
	struct cell *cell;

	if (table->filled == TABLE_COLUMNS)
		rte_panic("more than %d columns in a table of results\n", TABLE_COLUMNS);
	cell = &table->row[table->rows - 1][table->filled++];
	if (table->columns < table->filled)
		table->columns = table->filled;
	cell->column = column;
	return cell;
}

void
table_text(struct table *table, const char *column, const char *text)
{
	struct cell *cell = add_cell(table, column);

	snprintf(cell->text, sizeof(cell->text), "%s", text);
}

void
table_number(struct table *table, const char *column, double value, int decimals)
{
	struct cell *cell = add_cell(table, column);

	cell->number = true;
	cell->value = value;
	snprintf(cell->text, sizeof(cell->text), "%.*f", decimals, value);
}

void
table_print(const struct table *table)
{
	int width[TABLE_COLUMNS] = { 0 };

	if (table->rows == 0)
		return;
	for (unsigned int c = 0; c < table->columns; c++) {
		width[c] = (int)strlen(table->row[0][c].column);
		for (unsigned int r = 0; r < table->rows; r++)
			if ((int)strlen(table->row[r][c].text) > width[c])
				width[c] = (int)strlen(table->row[r][c].text);
	}
	for (unsigned int c = 0; c < table->columns; c++)
		printf("%s%*s", c == 0 ? "" : "  ", table->row[0][c].number ? width[c] : -width[c],
				table->row[0][c].column);
	printf("\n");
	for (unsigned int r = 0; r < table->rows; r++) {
		const struct cell *cells = table->row[r];

		for (unsigned int c = 0; c < table->columns; c++)
			printf("%s%*s", c == 0 ? "" : "  ", cells[c].number ? width[c] : -width[c],
					cells[c].text);
		printf("\n");
	}
}

static void
write_string(FILE *file, const char *text)
{
	fputc('"', file);
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', file);
		if ((unsigned char)*text >= ' ')
			fputc(*text, file);
	}
	fputc('"', file);
}

static void
write_field(FILE *file, const char *name, const char *text)
{
	fprintf(file, "  \"%s\": ", name);
	write_string(file, text);
	fprintf(file, ",\n");
}

static void
write_table(FILE *file, const struct table *table)
{
	const struct cell *cell;

	fprintf(file, ",\n  ");
	write_string(file, table->name);
	fprintf(file, ": [");
	for (unsigned int r = 0; r < table->rows; r++) {
		fprintf(file, "%s\n    {", r == 0 ? "" : ",");
		for (unsigned int c = 0; c < table->columns; c++) {
			cell = &table->row[r][c];
			fprintf(file, "%s", c == 0 ? "" : ", ");
			write_string(file, cell->column);
			fprintf(file, ": ");
			if (cell->number)
				fprintf(file, "%.15g", isfinite(cell->value) ? cell->value : 0);
			else
				write_string(file, cell->text);
		}
		fprintf(file, "}");
	}
	fprintf(file, "\n  ]");
}

static void
write_ports(FILE *file, const struct ports *ports)
{
	fprintf(file, ",\n  \"ports\": [");
	for (uint16_t i = 0; i < ports->count; i++) {
		fprintf(file, "%s\n    {\"name\": ", i == 0 ? "" : ",");
		write_string(file, ports->port[i].name);
		fprintf(file, ", \"driver\": ");
		write_string(file, ports->port[i].driver);
		fprintf(file, ", \"object\": ");
		write_string(file, ports->port[i].object);
		fprintf(file, "}");
	}
	fprintf(file, "\n  ]");
}

static FILE *
open_file(const char *path)
{
	FILE *file = fopen(path, "w");

	if (file == NULL)
		fprintf(stderr, "dpdk-memif-perf: --json: cannot write %s: %s\n", path,
				strerror(errno));
	return file;
}

int
report_check(const char *path)
{
	FILE *file;

	if (path == NULL)
		return 0;
	file = open_file(path);
	if (file == NULL)
		return -EIO;
	fclose(file);
	return 0;
}

int
report_write(const char *path, const char *command, const struct ports *ports,
		const struct table *const *tables, unsigned int count)
{
	FILE *file;

	if (path == NULL)
		return 0;
	file = open_file(path);
	if (file == NULL)
		return -EIO;
	fprintf(file, "{\n");
	write_field(file, "program", "dpdk-memif-perf " PERF_VERSION);
	write_field(file, "dpdk", rte_version());
	write_field(file, "command", command);
	fprintf(file, "  \"tsc_hz\": %llu", (unsigned long long)rte_get_tsc_hz());
	if (ports != NULL)
		write_ports(file, ports);
	for (unsigned int i = 0; i < count; i++)
		write_table(file, tables[i]);
	fprintf(file, "\n}\n");
	if (fclose(file) == 0)
		return 0;
	fprintf(stderr, "dpdk-memif-perf: --json: cannot write %s: %s\n", path, strerror(errno));
	return -EIO;
}

/* SPDX-License-Identifier: BSD-3-Clause */

#include <inttypes.h>
#include <stdio.h>
#include <rte_cycles.h>

#include "ethdev.h"
#include "report.h"
#include "worker.h"

#define LABEL 32

/* Counters of a port: ours, and what its driver could not take in or let out. */
struct moment {
	struct port_count count;
	uint64_t missed, errors;
};

static struct moment
look(const struct fwd *fwd, unsigned int place)
{
	struct moment now = { .count = workers_count(fwd, place) };
	struct rte_eth_stats stats;

	if (rte_eth_stats_get(fwd->port[place].id, &stats) == 0) {
		now.missed = stats.imissed + stats.rx_nombuf;
		now.errors = stats.ierrors + stats.oerrors;
	}
	return now;
}

static void
print_head(const char *unit)
{
	printf("%-10s %-4s %9s %9s %9s %9s | dropped: %7s %7s %7s %7s %7s (%s)\n", "port", "link",
			"rx", "rx bit", "tx", "tx bit", "full", "no peer", "no way", "missed",
			"errors", unit);
}

/* As 950, 12.3k, 4.56M. */
static const char *
human(double value, char text[16])
{
	static const char units[] = " kMGT";
	unsigned int unit = 0;

	while (value >= 999.5 && units[unit + 1] != '\0') {
		value /= 1000;
		unit++;
	}
	if (unit == 0)
		snprintf(text, 16, "%.0f", value);
	else
		snprintf(text, 16, "%.*f%c",
				value < 10		    ? 2 :
						value < 100 ? 1 :
							      0,
				value, units[unit]);
	return text;
}

static void
print_row(const struct fwd *fwd, unsigned int place, const struct moment *from,
		const struct moment *to, double seconds)
{
	const struct port_count *a = &from->count, *b = &to->count;
	const double columns[] = {
		(double)(b->rx_packets - a->rx_packets),
		(double)(b->rx_bytes - a->rx_bytes) * 8,
		(double)(b->tx_packets - a->tx_packets),
		(double)(b->tx_bytes - a->tx_bytes) * 8,
		(double)(b->drop[DROP_FULL] - a->drop[DROP_FULL]),
		(double)(b->drop[DROP_NO_PEER] - a->drop[DROP_NO_PEER]),
		(double)(b->drop[DROP_NO_WAY] - a->drop[DROP_NO_WAY]),
		(double)(to->missed - from->missed),
		(double)(to->errors - from->errors),
	};
	char label[LABEL], text[16];

	fwd_label(fwd, place, label, sizeof(label));
	printf("%-10s %-4s", label, ethdev_link_up(fwd->port[place].id) ? "up" : "down");
	for (unsigned int i = 0; i < RTE_DIM(columns); i++)
		printf("%s %*s", i == 4 ? " |         " : "", i < 4 ? 9 : 7,
				human(columns[i] / seconds, text));
	printf("\n");
}

void
report_table(const struct fwd *fwd)
{
	static struct moment before[FWD_PORTS];
	static uint64_t then;
	uint64_t now = rte_rdtsc();
	double seconds = (double)(now - then) / (double)rte_get_tsc_hz();
	struct moment at;

	if (then != 0)
		print_head("per second");
	for (unsigned int place = 0; place < fwd->ports; place++) {
		at = look(fwd, place);
		if (then != 0)
			print_row(fwd, place, &before[place], &at, seconds);
		before[place] = at;
	}
	then = now;
}

void
report_totals(const struct fwd *fwd)
{
	static const struct moment zero;
	struct moment at;

	print_head("in all");
	for (unsigned int place = 0; place < fwd->ports; place++) {
		at = look(fwd, place);
		print_row(fwd, place, &zero, &at, 1);
	}
}

/* SPDX-License-Identifier: BSD-3-Clause */

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <rte_cycles.h>

#include "report.h"

#define NUMBER(name, value) printf(",\"" name "\":%" PRIu64, (uint64_t)(value))

struct problems {
	unsigned int n;
};

static void
print_string(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		if ((unsigned char)*text >= ' ')
			putchar(*text);
	}
	putchar('"');
}

static void
print_field(const char *name, const char *text)
{
	printf(",\"%s\":", name);
	print_string(text);
}

__attribute__((format(printf, 2, 3))) static void
problem(struct problems *p, const char *format, ...)
{
	char text[PROBLEM_TEXT + 80];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (p->n++)
		putchar(',');
	print_string(text);
}

static void
print_snapshot(const char *name, const struct port_snapshot *snap)
{
	const struct rte_eth_stats *st = &snap->stats;
	int i;

	printf(",\"%s\":{\"link\":\"%s\"", name, snap->link.link_status ? "up" : "down");
	NUMBER("ipackets", st->ipackets);
	NUMBER("opackets", st->opackets);
	NUMBER("ibytes", st->ibytes);
	NUMBER("obytes", st->obytes);
	NUMBER("imissed", st->imissed);
	NUMBER("ierrors", st->ierrors);
	NUMBER("oerrors", st->oerrors);
	NUMBER("rx_nombuf", st->rx_nombuf);
	printf(",\"xstats\":{");
	for (i = 0; i < snap->n_xstats; i++)
		printf("%s\"%s\":%" PRIu64, i ? "," : "",
				snap->xstat_names[snap->xstats[i].id].name, snap->xstats[i].value);
	printf("}}");
}

static void
print_senders(const struct traffic *t)
{
	const struct sender *s;
	uint16_t q;

	printf(",\"tx\":[");
	for (q = 0; t->opt->mode != MODE_RECEIVE && q < t->opt->txq; q++) {
		s = &t->senders[q];
		printf("%s{\"queue\":%u", q ? "," : "", q);
		NUMBER("sent", s->sent);
		NUMBER("bytes", s->bytes);
		NUMBER("refused", s->refused);
		NUMBER("bursts", s->bursts);
		NUMBER("no_mbufs", s->no_mbufs);
		printf("}");
	}
	printf("]");
}

static void
print_tracker(const struct tracker *from, uint16_t queue, const char *separator)
{
	const char *comma = "";
	unsigned int q;

	printf("%s{\"queue\":%u", separator, queue);
	NUMBER("received", from->received);
	NUMBER("bytes", from->bytes);
	NUMBER("lost", tracker_lost(from));
	NUMBER("dup", from->dup);
	NUMBER("reordered", from->reordered);
	printf(",\"rx_queues\":{");
	for (q = 0; q < MAX_QUEUES; q++) {
		if (from->by_rxq[q] == 0)
			continue;
		printf("%s\"%u\":%" PRIu64, comma, q, from->by_rxq[q]);
		comma = ",";
	}
	printf("}}");
}

static void
print_receiver(const struct receiver *r)
{
	const char *separator = "";
	unsigned int i;

	printf(",\"received\":%" PRIu64, r->packets);
	NUMBER("received_bytes", r->bytes);
	NUMBER("max_segs", r->max_segs);
	NUMBER("bad_mbuf", r->bad_mbuf);
	NUMBER("wrong_seed", r->wrong_seed);
	printf(",\"verdicts\":{");
	for (i = 0; i < PACKET_N_VERDICTS; i++)
		printf("%s\"%s\":%" PRIu64, i ? "," : "", packet_verdict_name(i), r->verdicts[i]);
	printf("},\"from\":[");
	for (i = 0; i < MAX_QUEUES; i++) {
		if (r->from[i].received == 0)
			continue;
		print_tracker(&r->from[i], i, separator);
		separator = ",";
	}
	printf("],\"rx\":[");
	for (i = 0; i < r->opt->rxq; i++)
		printf("%s%" PRIu64, i ? "," : "", r->by_rxq[i]);
	printf("]");
	print_field("first_bad", r->problem);
}

static void
check_reception(const struct report *rep, struct problems *p)
{
	const struct receiver *r = rep->traffic->receiver;
	uint64_t good = r->verdicts[PACKET_OK], surplus;
	const struct tracker *from;
	unsigned int q;

	if (r->problem[0])
		problem(p, "%" PRIu64 " bad packets, first: %s", r->packets - good + r->wrong_seed,
				r->problem);
	for (q = 0; q < MAX_QUEUES; q++) {
		from = &r->from[q];
		if (from->dup)
			problem(p, "queue %u: %" PRIu64 " duplicates", q, from->dup);
		if (from->reordered)
			problem(p, "queue %u: %" PRIu64 " out of order", q, from->reordered);
		if (tracker_lost(from) && !rep->opt->allow_loss)
			problem(p, "queue %u: %" PRIu64 " lost", q, tracker_lost(from));
	}
	if (rep->opt->expect == 0)
		return;
	if (r->packets < rep->opt->expect && !rep->opt->allow_loss)
		problem(p, "%" PRIu64 " of %" PRIu64 " expected packets came in", r->packets,
				rep->opt->expect);
	surplus = r->packets > rep->opt->expect ? r->packets - rep->opt->expect : 0;
	if (surplus)
		problem(p, "%" PRIu64 " packets more than expected", surplus);
}

static void
check_resources(const struct report *rep, struct problems *p)
{
	const struct mbuf_maker *maker = rep->maker;

	if (rep->port_failed)
		problem(p, "an ethdev call failed, see stderr");
	if (rep->mbufs_after != rep->mbufs_before)
		problem(p, "%u mbufs in use before, %u after", rep->mbufs_before, rep->mbufs_after);
	if (rep->unreleased)
		problem(p, "%u sent packets never released", rep->unreleased);
	if (maker->held_modified)
		problem(p, "%" PRIu64 " sent packets modified in place", maker->held_modified);
	if (maker->ext_attached != maker->ext_freed)
		problem(p, "%" PRIu64 " external buffers attached, %" PRIu64 " freed",
				maker->ext_attached, maker->ext_freed);
}

static unsigned int
print_problems(const struct report *rep)
{
	const struct traffic *t = rep->traffic;
	struct problems p = { 0 };

	printf(",\"errors\":[");
	if (t->link_timeout)
		problem(&p, "the link was not up after %u s", rep->opt->wait_link_s);
	if (t->timeout)
		problem(&p, "not done after %u s", rep->opt->timeout_s);
	check_reception(rep, &p);
	check_resources(rep, &p);
	printf("]");
	return p.n;
}

unsigned int
report_print(const struct report *rep)
{
	const struct traffic *t = rep->traffic;
	unsigned int n;

	printf("{\"mode\":\"%s\"", options_mode_name(rep->opt->mode));
	print_field("driver", rep->port->driver_name);
	print_field("driver_object", rep->port->burst_object);
	printf(",\"seconds\":%.3f", loop_seconds(t->link_up ? t->link_up : t->start, t->finished));
	printf(",\"stopped\":%s", t->stopped ? "true" : "false");
	print_senders(t);
	print_receiver(t->receiver);
	print_snapshot("stats", rep->before_stop);
	print_snapshot("stats_after_stop", rep->after_stop);
	printf(",\"leaked_mbufs\":%d", (int)(rep->mbufs_after - rep->mbufs_before));
	n = print_problems(rep);
	printf("}\n");
	fflush(stdout);
	return n;
}

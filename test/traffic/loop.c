/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>

#include "loop.h"

/*
 * Polls without a packet before the core is left to others: the machine may be shared. Not by
 * sched_yield(): on Linux 6.18 each call costs a time slice, and one thread that never sleeps
 * then has the core for up to minutes, whoever else waits for it.
 */
#define IDLE_SLEEP 32
#define IDLE_SLEEP_US 20

/* Polls without a packet before held mbufs are freed: only then is it the pool that is empty. */
#define IDLE_RELEASE 128

/* Polls between two looks at clock, link and stdin. */
#define CHECK_EVERY 64

double
loop_seconds(uint64_t from, uint64_t to)
{
	return (double)(to - from) / rte_get_timer_hz();
}

static bool
past(uint64_t since, uint64_t ms)
{
	return (rte_get_timer_cycles() - since) * 1000 >= ms * rte_get_timer_hz();
}

static unsigned int
poll_senders(struct traffic *t)
{
	unsigned int n = 0;
	uint16_t q;

	for (q = 0; q < t->opt->txq; q++)
		if (!sender_done(&t->senders[q]))
			n += sender_poll(&t->senders[q]);
	return n;
}

static unsigned int
poll_receivers(struct traffic *t)
{
	unsigned int n = 0;
	uint16_t q, got;

	for (q = 0; q < t->opt->poll_rxq; q++) {
		got = receiver_poll(t->receiver, q, t->pkts);
		receiver_release(t->receiver, t->pkts, got);
		n += got;
	}
	if (n)
		t->last_rx = rte_get_timer_cycles();
	return n;
}

static unsigned int
poll_echo(struct traffic *t)
{
	struct sender *s;
	unsigned int n = 0;
	uint16_t q, got;

	for (q = 0; q < t->opt->poll_rxq; q++) {
		s = &t->senders[q % t->opt->txq];
		if (s->n_pending) {
			n += sender_flush(s);
			/* What came in cannot go out: leave the rest in the ring. */
			if (s->n_pending)
				continue;
		}
		got = receiver_poll(t->receiver, q, t->pkts);
		sender_forward(s, t->pkts, got);
		n += got;
		if (got)
			t->last_rx = rte_get_timer_cycles();
	}
	return n;
}

static unsigned int
poll_port(struct traffic *t)
{
	unsigned int n = 0;

	if (t->opt->mode == MODE_ECHO)
		return poll_echo(t);
	if (t->sending && options_sends(t->opt))
		n += poll_senders(t);
	if (options_receives(t->opt))
		n += poll_receivers(t);
	return n;
}

static bool
senders_done(const struct traffic *t)
{
	uint16_t q;

	if (!options_sends(t->opt))
		return true;
	for (q = 0; q < t->opt->txq; q++)
		if (!sender_done(&t->senders[q]))
			return false;
	return true;
}

static bool
reception_done(const struct traffic *t)
{
	if (!options_receives(t->opt))
		return true;
	if (receiver_complete(t->receiver))
		return past(t->last_rx, t->opt->settle_ms);
	return t->receiver->packets && past(t->last_rx, t->opt->idle_end_ms);
}

static void
look_at_link(struct traffic *t)
{
	if (t->sending)
		return;
	if (!t->link_up && port_link_up(t->port)) {
		t->link_up = rte_get_timer_cycles();
		printf("mif-traffic: link up\n");
	}
	if (t->link_up)
		t->sending = past(t->link_up, t->opt->start_delay_ms);
	else if (t->opt->wait_link_s == 0)
		t->sending = true;
	else if (options_sends(t->opt) && past(t->start, t->opt->wait_link_s * UINT64_C(1000)))
		t->link_timeout = true;
}

void
loop_read_line(void)
{
	char c = 0;

	/* One byte each time: the next line is for a later call. */
	while (c != '\n') {
		errno = 0;
		if (read(STDIN_FILENO, &c, 1) <= 0 && errno != EINTR)
			return;
	}
}

static void
look_at_stdin(struct traffic *t)
{
	struct pollfd fd = { .fd = STDIN_FILENO, .events = POLLIN };

	if (!t->opt->wait_stdin || t->stopped)
		return;
	if (poll(&fd, 1, 0) <= 0)
		return;
	loop_read_line();
	t->stopped = true;
}

/* Sets the flags that end the loop; true when one is set. */
static bool
look_around(struct traffic *t)
{
	look_at_link(t);
	look_at_stdin(t);
	if (t->finished)
		return t->stopped || (!t->opt->wait_stdin && past(t->finished, t->opt->linger_ms));
	if (senders_done(t) && reception_done(t)) {
		t->finished = rte_get_timer_cycles();
		printf("mif-traffic: done\n");
		return false;
	}
	t->timeout = past(t->start, t->opt->timeout_s * UINT64_C(1000));
	return t->stopped || t->timeout || t->link_timeout;
}

void
loop_run(struct traffic *t)
{
	unsigned int idle = 0, rounds = 0;

	t->start = rte_get_timer_cycles();
	t->last_rx = t->start;
	for (;;) {
		if (poll_port(t)) {
			idle = 0;
		} else if (++idle > IDLE_SLEEP) {
			if (idle == IDLE_RELEASE)
				receiver_release_all(t->receiver);
			usleep(IDLE_SLEEP_US);
		}
		if (++rounds % CHECK_EVERY == 0 && look_around(t))
			break;
	}
	if (!t->finished)
		t->finished = rte_get_timer_cycles();
}

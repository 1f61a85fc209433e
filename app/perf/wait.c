/* SPDX-License-Identifier: BSD-3-Clause */

#include <sys/prctl.h>
#include <unistd.h>
#include <rte_cycles.h>

#include "stop.h"
#include "wait.h"

#define NAP_US 10000
#define SLACK_NS 1000

struct wait_clock
wait_begin(double seconds)
{
	struct wait_clock clock = {
		.cycles = (uint64_t)(seconds * (double)rte_get_tsc_hz()),
	};

	clock.end = rte_rdtsc() + clock.cycles;
	return clock;
}

bool
wait_is_over(const struct wait_clock *clock)
{
	return rte_rdtsc() >= clock->end;
}

void
wait_again(struct wait_clock *clock)
{
	clock->end += clock->cycles;
}

void
wait_sleep(double seconds)
{
	struct wait_clock clock = wait_begin(seconds);

	while (!wait_is_over(&clock) && !stop_wanted())
		usleep(NAP_US);
}

void
wait_precisely(void)
{
	prctl(PR_SET_TIMERSLACK, SLACK_NS, 0, 0, 0);
}

/* SPDX-License-Identifier: BSD-3-Clause */

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "stop.h"

#define LOOK_US 10000

int stop_flag;

static int signals;

static void
handle(int number)
{
	(void)number;
	__atomic_fetch_add(&signals, 1, __ATOMIC_RELAXED);
	stop_now();
}

void
stop_on_signals(void)
{
	struct sigaction action = { .sa_handler = handle };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

void
stop_hold(void)
{
	int so_far = __atomic_load_n(&signals, __ATOMIC_RELAXED);

	printf("holding\n");
	while (__atomic_load_n(&signals, __ATOMIC_RELAXED) == so_far)
		usleep(LOOK_US);
}

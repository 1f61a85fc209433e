/* SPDX-License-Identifier: BSD-3-Clause */

/* Ports that are there and do nothing: the other end of `idle` and of `connect`. */

#include <stdio.h>
#include <stdlib.h>

#include "command.h"
#include "packet.h"
#include "ports.h"
#include "stop.h"
#include "wait.h"

#define PERIOD 0.1

static struct {
	uint64_t queues, descriptors, mbufs;
	double seconds;
} options = {
	.queues = 1,
	.descriptors = 1024,
	.mbufs = 4096,
};

static const struct option_spec specs[] = {
	NUMBER_OPTION("queues", &options.queues, 1, 255, "pairs of queues of each port"),
	NUMBER_OPTION("descriptors", &options.descriptors, 1, UINT16_MAX,
			"of each queue; memif goes by rsize instead"),
	NUMBER_OPTION("mbufs", &options.mbufs, 512, UINT32_MAX / 2, "of the pool"),
	SECONDS_OPTION("seconds", &options.seconds, "to stay; 0: until Ctrl-C"),
	END_OF_OPTIONS,
};

static struct ports ports;

static void
stay(void)
{
	struct wait_clock clock = wait_begin(options.seconds);
	uint16_t now, before = UINT16_MAX;

	while (!stop_wanted() && (options.seconds <= 0 || !wait_is_over(&clock))) {
		now = ports_up(&ports);
		if (now != before)
			printf("%u of %u links up\n", now, ports.count);
		before = now;
		wait_sleep(PERIOD);
	}
}

static int
run(void)
{
	struct ports_cfg cfg = {
		.queues = (uint16_t)options.queues,
		.descriptors = (uint16_t)options.descriptors,
		.pool = packet_pool("rx", options.mbufs, 0),
	};
	int ret = EXIT_FAILURE;

	if (cfg.pool == NULL)
		return EXIT_FAILURE;
	if (ports_open(&ports, &cfg) == 0 && ports_start(&ports) == 0) {
		stay();
		ret = EXIT_SUCCESS;
	}
	ports_close(&ports);
	return ret;
}

const struct command command_hold = {
	.name = "hold",
	.summary = "start the ports and leave them alone: the other end of idle and connect",
	.options = specs,
	.run = run,
};

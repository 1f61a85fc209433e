/* SPDX-License-Identifier: BSD-3-Clause */

/* dpdk-memif-perf: how fast Ethernet ports of DPDK are, whatever driver serves them. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <rte_eal.h>

#include "command.h"
#include "stop.h"

const char program_name[] = "dpdk-memif-perf";

static const struct command *const commands[] = {
	&command_throughput,
	&command_latency,
	&command_idle,
	&command_connect,
	&command_hold,
	&command_limit,
};

static void
print_usage(void)
{
	printf("dpdk-memif-perf [EAL options] -- COMMAND [options]\n"
	       "Ports come from EAL options (--vdev, -a); each command uses all of them.\n");
	for (unsigned int i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		printf("\n%s: %s\n", commands[i]->name, commands[i]->summary);
		options_print(commands[i]->options);
	}
}

static const struct command *
find_command(const char *name)
{
	for (unsigned int i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	fprintf(stderr, "dpdk-memif-perf: no command '%s'; --help lists them\n", name);
	return NULL;
}

/* What follows the EAL options, from the name of the command on. */
static int
run_command(int argc, char **argv)
{
	const struct command *command = NULL;
	int ret;

	if (argc == 0)
		fprintf(stderr, "dpdk-memif-perf: which command? --help lists them\n");
	else
		command = find_command(argv[0]);
	if (command == NULL)
		return EXIT_FAILURE;
	ret = options_parse(command->options, argc, argv);
	if (ret > 0) {
		printf("%s [EAL options] -- %s [options]\n", program_name, command->name);
		options_print(command->options);
		return EXIT_SUCCESS;
	}
	return ret < 0 ? EXIT_FAILURE : command->run();
}

int
main(int argc, char **argv)
{
	int used, status;

	setvbuf(stdout, NULL, _IOLBF, 0);
	/* EAL has a --help of its own. */
	if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		print_usage();
		return argc < 2 ? EXIT_FAILURE : EXIT_SUCCESS;
	}
	used = rte_eal_init(argc, argv);
	if (used < 0) {
		fprintf(stderr, "dpdk-memif-perf: EAL does not start, see above\n");
		return EXIT_FAILURE;
	}
	stop_on_signals();
	status = run_command(argc - used - 1, argv + used + 1);
	rte_eal_cleanup();
	return status;
}

/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ethdev.h>

#include "commands.h"
#include "events.h"
#include "held.h"
#include "paint.h"
#include "poller.h"
#include "ports.h"

#define ARGS_MAX 3

/* What is left of the line, split, and where the answer's values go. */
struct call {
	uint16_t port;
	const char *args[ARGS_MAX];
	FILE *answer;
};

static int
run_attach(struct call *call)
{
	uint16_t port;
	int ret = ports_attach(call->args[0], &port);

	if (ret == 0)
		fprintf(call->answer, " %u", port);
	return ret;
}

static int
run_setup(struct call *call)
{
	return ports_setup(call->port, (uint16_t)atoi(call->args[1]));
}

static int
run_start(struct call *call)
{
	int ret = ports_start(call->port);

	fprintf(call->answer, " %" PRIu64, now_ns());
	return ret;
}

static int
run_stop(struct call *call)
{
	return ports_stop(call->port);
}

static int
run_close(struct call *call)
{
	return ports_close(call->port);
}

static int
run_detach(struct call *call)
{
	return ports_detach(call->port);
}

static int
run_remove(struct call *call)
{
	return ports_remove(call->port);
}

static int
run_set_link(struct call *call)
{
	if (strcmp(call->args[1], "up") == 0)
		return rte_eth_dev_set_link_up(call->port);
	return rte_eth_dev_set_link_down(call->port);
}

static int
run_link(struct call *call)
{
	struct rte_eth_link link;
	int ret = rte_eth_link_get_nowait(call->port, &link);

	if (ret == 0)
		fprintf(call->answer, " %s", link.link_status == RTE_ETH_LINK_UP ? "up" : "down");
	return ret;
}

static int
run_flags(struct call *call)
{
	struct rte_eth_dev_info info;
	int ret = rte_eth_dev_info_get(call->port, &info);

	if (ret == 0)
		fprintf(call->answer, " %s",
				(*info.dev_flags & RTE_ETH_DEV_INTR_LSC) != 0 ? "lsc" : "none");
	return ret;
}

static int
run_stats(struct call *call)
{
	struct rte_eth_stats stats;
	int ret = rte_eth_stats_get(call->port, &stats);

	if (ret == 0)
		fprintf(call->answer, " %" PRIu64 " %" PRIu64, stats.ipackets, stats.opackets);
	return ret;
}

static int
run_xstats(struct call *call)
{
	int count = rte_eth_xstats_get_names(call->port, NULL, 0);
	struct rte_eth_xstat_name *names;
	struct rte_eth_xstat *values;

	if (count < 0)
		return count;
	names = calloc((size_t)count + 1, sizeof(*names));
	values = calloc((size_t)count + 1, sizeof(*values));
	if (names == NULL || values == NULL ||
			rte_eth_xstats_get_names(call->port, names, (unsigned int)count) != count ||
			rte_eth_xstats_get(call->port, values, (unsigned int)count) != count)
		count = -EIO;
	for (int i = 0; i < count; i++)
		fprintf(call->answer, " %s=%" PRIu64, names[values[i].id].name, values[i].value);
	free(names);
	free(values);
	return count < 0 ? count : 0;
}

/* The dump, on one line. */
static int
run_dump(struct call *call)
{
	char *text = NULL;
	size_t length = 0;
	FILE *file = open_memstream(&text, &length);
	int ret;

	if (file == NULL)
		return -ENOMEM;
	ret = rte_eth_dev_priv_dump(call->port, file);
	fclose(file);
	for (size_t i = 0; i < length; i++) {
		if (text[i] == '\n')
			text[i] = '|';
	}
	fprintf(call->answer, " %s", text);
	free(text);
	return ret;
}

static int
run_first(struct call *call)
{
	fprintf(call->answer, " %" PRIu64,
			poller_first_packet(call->port, strcmp(call->args[1], "forget") == 0));
	return 0;
}

static int
run_on(struct call *call)
{
	return events_on(call->port, strcmp(call->args[1], "up") == 0, call->args[2]);
}

static int
run_release(struct call *call)
{
	RTE_SET_USED(call);
	events_release();
	return 0;
}

static int
run_restart(struct call *call)
{
	return ports_restart_often(call->port, (unsigned int)atoi(call->args[1]));
}

static int
run_reattach(struct call *call)
{
	return ports_reattach_often(call->port, (unsigned int)atoi(call->args[1]));
}

static int
run_mode(struct call *call)
{
	if (strcmp(call->args[0], "load") == 0)
		poller_set_mode(POLL_LOAD);
	else if (strcmp(call->args[0], "sink") == 0)
		poller_set_mode(POLL_SINK);
	else if (strcmp(call->args[0], "echo") == 0)
		poller_set_mode(POLL_ECHO);
	else if (strcmp(call->args[0], "hold") == 0)
		poller_set_mode(POLL_HOLD);
	else
		return -EINVAL;
	return 0;
}

static int
run_length(struct call *call)
{
	poller_set_length((uint16_t)atoi(call->args[0]));
	return 0;
}

static int
run_poll(struct call *call)
{
	unsigned int first = 0, queues = 0;

	if (strcmp(call->args[1], "off") == 0) {
		poller_remove(call->port);
		return 0;
	}
	if (sscanf(call->args[1], "%u+%u", &first, &queues) != 2) {
		first = 0;
		queues = (unsigned int)atoi(call->args[1]);
	}
	poller_add(call->port, (uint16_t)first, (uint16_t)queues);
	return 0;
}

static int
run_mbufs(struct call *call)
{
	fprintf(call->answer, " %u", mbufs_in_use());
	return 0;
}

static int
run_paint(struct call *call)
{
	fprintf(call->answer, " %u", paint_take(mbufs_pool()));
	return 0;
}

static int
run_painted(struct call *call)
{
	fprintf(call->answer, " %u", paint_free());
	return 0;
}

static int
run_held(struct call *call)
{
	struct held_sum sum = held_look();

	fprintf(call->answer, " %u %u %" PRIu64 " %u", sum.packets, sum.external, sum.bytes,
			sum.sum);
	return 0;
}

static int
run_free(struct call *call)
{
	held_free((unsigned int)atoi(call->args[0]));
	return 0;
}

static int
run_turns(struct call *call)
{
	fprintf(call->answer, " %" PRIu64, poller_turns());
	return 0;
}

static const struct command {
	const char *name;
	int args;
	bool port; /* the first argument is one */
	int (*run)(struct call *call);
} commands[] = {
	{ "attach", 1, false, run_attach },    /* NAME,OPTION=VALUE,... */
	{ "setup", 2, true, run_setup },       /* PORT QUEUES */
	{ "start", 1, true, run_start },       /* answers when */
	{ "stop", 1, true, run_stop },	       /* */
	{ "close", 1, true, run_close },       /* stops first */
	{ "detach", 1, true, run_detach },     /* stops first */
	{ "remove", 1, true, run_remove },     /* does not stop first */
	{ "set-link", 2, true, run_set_link }, /* PORT up|down */
	{ "link", 1, true, run_link },	       /* */
	{ "flags", 1, true, run_flags },       /* */
	{ "stats", 1, true, run_stats },       /* received, sent */
	{ "xstats", 1, true, run_xstats },     /* */
	{ "dump", 1, true, run_dump },	       /* */
	{ "first", 2, true, run_first },       /* PORT keep|forget */
	{ "on", 3, true, run_on },	       /* PORT up|down ACTION */
	{ "release", 0, false, run_release },  /* */
	{ "restart", 2, true, run_restart },   /* PORT TIMES */
	{ "reattach", 2, true, run_reattach }, /* PORT TIMES */
	{ "mode", 1, false, run_mode },	       /* load|sink|echo|hold */
	{ "length", 1, false, run_length },    /* BYTES of each packet of the load */
	{ "held", 0, false, run_held },	       /* packets, external ones, bytes, their sum */
	{ "free", 1, false, run_free },	       /* COUNT of the held ones, 0 for all */
	{ "poll", 2, true, run_poll },	       /* PORT off|QUEUES|FIRST+QUEUES */
	{ "mbufs", 0, false, run_mbufs },      /* in use */
	{ "paint", 0, false, run_paint },      /* takes all that are free, and fills them */
	{ "painted", 0, false, run_painted },  /* frees them: how many were written to */
	{ "turns", 0, false, run_turns },      /* of the polling lcore */
};

static const struct command *
find_command(const char *name)
{
	for (unsigned int i = 0; name != NULL && i < RTE_DIM(commands); i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

static int
split_and_run(char *line, FILE *answer)
{
	char *rest = NULL;
	const struct command *command = find_command(strtok_r(line, " \n", &rest));
	struct call call = { .answer = answer };
	int port;

	if (command == NULL)
		return -ENOSYS;
	for (int i = 0; i < command->args; i++) {
		call.args[i] = strtok_r(NULL, " \n", &rest);
		if (call.args[i] == NULL)
			return -EINVAL;
	}
	if (command->port) {
		port = atoi(call.args[0]);
		if (port < 0 || port >= RTE_MAX_ETHPORTS)
			return -EINVAL;
		call.port = (uint16_t)port;
	}
	return command->run(&call);
}

void
run_command(char *line)
{
	uint64_t begin = now_ns();
	char *values = NULL;
	size_t length = 0;
	FILE *answer = open_memstream(&values, &length);
	int ret = answer == NULL ? -ENOMEM : split_and_run(line, answer);

	if (answer != NULL)
		fclose(answer);
	if (ret == 0)
		printf("= ok%s us=%" PRIu64 "\n", values, (now_ns() - begin) / 1000);
	else
		printf("= error %d us=%" PRIu64 "\n", ret, (now_ns() - begin) / 1000);
	free(values);
}

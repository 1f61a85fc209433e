/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <inttypes.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_spinlock.h>

#include "events.h"
#include "poller.h"
#include "ports.h"

#define END_MS 5000 /* one that is blocked does not end */

static int
block(uint16_t port)
{
	RTE_SET_USED(port);
	return 0;
}

static const struct action {
	const char *name;
	int (*run)(uint16_t port);
} actions[] = {
	{ "stop", ports_stop },
	{ "close", ports_close },
	{ "detach", ports_detach },
	{ "block", block },
};

static const struct action *wanted[RTE_MAX_ETHPORTS][2];
static rte_spinlock_t lock = RTE_SPINLOCK_INITIALIZER;
static sem_t released;

static const struct action *
take_action(uint16_t port, bool up)
{
	const struct action *action;

	rte_spinlock_lock(&lock);
	action = wanted[port][up];
	wanted[port][up] = NULL;
	rte_spinlock_unlock(&lock);
	return action;
}

/* Lines that begin with '!' are events. Each is one printf(), so that they do not mix. */
static int
on_link(uint16_t port, enum rte_eth_event_type event, void *arg, void *answer)
{
	const struct action *action;
	struct rte_eth_link link;
	bool up;
	int ret;

	RTE_SET_USED(event);
	RTE_SET_USED(arg);
	RTE_SET_USED(answer);
	if (rte_eth_link_get_nowait(port, &link) != 0)
		return 0;
	up = link.link_status == RTE_ETH_LINK_UP;
	printf("! link %u %s %" PRIu64 "\n", port, up ? "up" : "down", now_ns());
	action = take_action(port, up);
	if (action == NULL)
		return 0;
	printf("! doing %s %u\n", action->name, port);
	if (action->run == block)
		sem_wait(&released);
	ret = action->run(port);
	printf("! done %s %u %d\n", action->name, port, ret);
	return 0;
}

int
events_init(void)
{
	if (sem_init(&released, 0, 0) != 0)
		return -errno;
	return rte_eth_dev_callback_register(RTE_ETH_ALL, RTE_ETH_EVENT_INTR_LSC, on_link, NULL);
}

void
events_end(uint16_t port)
{
	for (int i = 0; i < END_MS; i++) {
		if (rte_eth_dev_callback_unregister(port, RTE_ETH_EVENT_INTR_LSC, on_link, NULL) !=
				-EAGAIN)
			return;
		rte_delay_us_sleep(1000);
	}
}

int
events_on(uint16_t port, bool up, const char *name)
{
	for (unsigned int i = 0; i < RTE_DIM(actions); i++) {
		if (strcmp(actions[i].name, name) != 0)
			continue;
		rte_spinlock_lock(&lock);
		wanted[port][up] = &actions[i];
		rte_spinlock_unlock(&lock);
		return 0;
	}
	return -EINVAL;
}

void
events_release(void)
{
	sem_post(&released);
}

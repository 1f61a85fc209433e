/* SPDX-License-Identifier: BSD-3-Clause */

#include <pthread.h>
#include <stdio.h>

#include "ethdev.h"
#include "links.h"

/* Events come on threads of drivers. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The link is read under the lock, so the last one to do so has the latest. */
static void
look(struct fwd *fwd, unsigned int memif)
{
	bool up;

	pthread_mutex_lock(&lock);
	up = ethdev_link_up(fwd->port[FWD_MEMIF + memif].id);
	if (up != steer_is_live(&fwd->steer, memif)) {
		steer_set_live(&fwd->steer, memif, up);
		printf("memif %u: link %s, %d of %u are up\n", memif, up ? "up" : "down",
				__builtin_popcountll(fwd->steer.live), fwd->steer.ports);
	}
	pthread_mutex_unlock(&lock);
}

static int
link_changed(uint16_t id, enum rte_eth_event_type event, void *param, void *ret_param)
{
	struct fwd *fwd = param;

	(void)event;
	(void)ret_param;
	for (unsigned int memif = 0; memif < fwd->config.memifs; memif++)
		if (fwd->port[FWD_MEMIF + memif].id == id)
			look(fwd, memif);
	return 0;
}

int
links_watch(struct fwd *fwd)
{
	int ret;

	for (unsigned int memif = 0; memif < fwd->config.memifs; memif++) {
		ret = rte_eth_dev_callback_register(fwd->port[FWD_MEMIF + memif].id,
				RTE_ETH_EVENT_INTR_LSC, link_changed, fwd);
		if (ret == 0)
			continue;
		fprintf(stderr, "%s: memif %u: no link events: %s\n", program_name, memif,
				rte_strerror(-ret));
		return ret;
	}
	return 0;
}

void
links_look(struct fwd *fwd)
{
	for (unsigned int memif = 0; memif < fwd->config.memifs; memif++)
		look(fwd, memif);
}

/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kill.h"
#include "pump.h"

#define HANDSHAKE_US 1500 /* about what one takes: deaths in the handshake come within this */
#define STUCK_MS 30000
#define TURNS_PER_LOOK 256 /* at the socket */
#define REFUSED_US 20000   /* before the next attempt */

struct tally {
	unsigned int killed_in[MIF_STATES];
	unsigned int stuck;
	uint64_t slowest_us; /* from the start of the process to the connection */
};

static uint64_t
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void
sleep_us(unsigned int us)
{
	const struct timespec pause = {
		.tv_sec = us / 1000000,
		.tv_nsec = (long)(us % 1000000) * 1000,
	};

	nanosleep(&pause, NULL);
}

static void
move_packets(struct peer *peer)
{
	static struct pump pump;

	pump_init(&pump, peer);
	for (unsigned int turn = 0; peer_up(peer); turn++) {
		if (pump_turn(&pump) == 0 || turn % TURNS_PER_LOOK == 0)
			peer_step(peer, 0);
	}
}

void
live(struct peer *peer)
{
	for (;;) {
		int ret = peer_meet(peer);

		if (ret != 0) {
			fprintf(stderr, "mif-load: %s: %s\n", peer->addr.text, strerror(-ret));
			exit(1);
		}
		while (!peer_up(peer) && !peer_closed(peer))
			peer_step(peer, 100);
		peer->stop_at = 0;
		if (peer_up(peer)) {
			printf("mif-load: connected\n");
			move_packets(peer);
		} else {
			sleep_us(REFUSED_US);
		}
		printf("mif-load: disconnected: %s\n", peer->conn.reason);
		peer_close(peer);
	}
}

static pid_t
start(struct peer *peer)
{
	pid_t parent = getpid();
	pid_t child = fork();

	if (child != 0)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || freopen("/dev/null", "w", stdout) == NULL)
		_exit(1);
	if (peer->role == MIF_SERVER && peer_listen(peer) != 0) {
		fprintf(stderr, "mif-load: cannot listen on %s\n", peer->addr.text);
		_exit(1);
	}
	live(peer);
	_exit(1);
}

static bool
wait_until(const atomic_uint *value, unsigned int wanted)
{
	uint64_t deadline = now_us() + STUCK_MS * 1000;

	while (atomic_load(value) < wanted) {
		if (now_us() > deadline)
			return false;
		sleep_us(100);
	}
	return true;
}

static void
kill_one(struct peer *peer, const struct kill_cfg *cfg, unsigned int *seed, struct tally *tally)
{
	struct progress *progress = peer->progress;
	bool early = rand_r(seed) % 4 == 0;
	unsigned int delay = (unsigned int)rand_r(seed);
	uint64_t begin = now_us();
	pid_t child;

	atomic_store(&progress->met, 0);
	atomic_store(&progress->state, MIF_STATE_CLOSED);
	child = start(peer);
	if (child < 0) {
		perror("mif-load: fork");
		exit(1);
	}
	if (early ? !wait_until(&progress->met, 1) : !wait_until(&progress->state, MIF_STATE_UP))
		tally->stuck++;
	else if (!early && now_us() - begin > tally->slowest_us)
		tally->slowest_us = now_us() - begin;
	sleep_us(delay % (early ? HANDSHAKE_US : cfg->max_us));
	kill(child, SIGKILL);
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	tally->killed_in[atomic_load(&progress->state) % MIF_STATES]++;
}

static void
print_tally(const struct kill_cfg *cfg, const struct tally *tally, const struct progress *progress)
{
	const char *comma = "";

	printf("{\"kills\": %u, \"stuck\": %u, \"slowest_ms\": %u, \"states\": {", cfg->kills,
			tally->stuck, (unsigned int)(tally->slowest_us / 1000));
	for (int state = 0; state < MIF_STATES; state++) {
		if (tally->killed_in[state] == 0)
			continue;
		printf("%s\"%d\": %u", comma, state, tally->killed_in[state]);
		comma = ", ";
	}
	printf("}, \"up\": %u, \"sent\": %llu, \"received\": %llu}\n",
			tally->killed_in[MIF_STATE_UP], atomic_load(&progress->sent),
			atomic_load(&progress->received));
}

int
kill_often(struct peer *peer, const struct kill_cfg *cfg)
{
	struct tally tally = { 0 };
	unsigned int seed = cfg->seed;

	for (unsigned int i = 0; i < cfg->kills && tally.stuck == 0; i++)
		kill_one(peer, cfg, &seed, &tally);
	print_tally(cfg, &tally, peer->progress);
	return tally.stuck == 0 ? 0 : -1;
}

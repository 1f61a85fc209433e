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
#define HANDSHAKE_STEPS 8 /* messages to a peer with two rings of each direction, at least */
#define LOAD 1024	  /* packets each way, then it is under load */
#define STUCK_MS 30000
#define TURNS_PER_LOOK 256 /* at the socket */
#define REFUSED_US 20000   /* before the next attempt */

/* What a life ends with. Times alone would not do: how far a peer gets in them depends on who else
 * uses the machine. */
enum death {
	DEATH_AT_STEP,	  /* before it answers some message of the handshake */
	DEATH_SOON,	  /* within the time that a handshake takes */
	DEATH_ONCE_UP,	  /* within max_us after the handshake, whatever has been moved */
	DEATH_UNDER_LOAD, /* within max_us, while packets are moved both ways */
	DEATHS = 8	  /* one in so many is each of the above but the last, which are the rest */
};

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

/* How far a life has come. */
static bool
is_met(const struct progress *progress)
{
	return atomic_load(&progress->met) != 0;
}

static bool
is_up(const struct progress *progress)
{
	return atomic_load(&progress->state) == MIF_STATE_UP;
}

static bool
is_loaded(const struct progress *progress)
{
	return atomic_load(&progress->life_sent) >= LOAD &&
			atomic_load(&progress->life_received) >= LOAD;
}

/* Until it has come so far, or has ended by itself; false when that takes too long. */
static bool
wait_for(const struct peer *peer, bool (*condition)(const struct progress *progress), pid_t child)
{
	uint64_t deadline = now_us() + STUCK_MS * 1000;
	siginfo_t ended = { 0 };

	while (!condition(peer->progress)) {
		if (waitid(P_PID, (id_t)child, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
				ended.si_pid == child)
			return true;
		if (now_us() > deadline)
			return false;
		sleep_us(100);
	}
	return true;
}

/* Waits for the moment at which the child is to be killed, if it does not die by itself. */
static bool
wait_for_death(const struct peer *peer, enum death death, unsigned int delay, pid_t child,
		struct tally *tally)
{
	uint64_t begin = now_us();

	if (!wait_for(peer, death == DEATH_SOON ? is_met : is_up, child))
		return false;
	if (death >= DEATH_ONCE_UP && now_us() - begin > tally->slowest_us)
		tally->slowest_us = now_us() - begin;
	if (death == DEATH_UNDER_LOAD && !wait_for(peer, is_loaded, child))
		return false;
	sleep_us(delay);
	return true;
}

static void
kill_one(struct peer *peer, const struct kill_cfg *cfg, enum death death, unsigned int *seed,
		struct tally *tally)
{
	struct progress *progress = peer->progress;
	unsigned int number = (unsigned int)rand_r(seed);
	pid_t child;

	atomic_store(&progress->met, 0);
	atomic_store(&progress->state, MIF_STATE_CLOSED);
	atomic_store(&progress->life_sent, 0);
	atomic_store(&progress->life_received, 0);
	peer->stop_signal = SIGKILL;
	peer->stop_at = death == DEATH_AT_STEP ? 1 + number % HANDSHAKE_STEPS : 0;
	child = start(peer);
	if (child < 0) {
		perror("mif-load: fork");
		exit(1);
	}
	if (!wait_for_death(peer, death,
			    number % (death == DEATH_SOON ? HANDSHAKE_US : cfg->max_us), child,
			    tally))
		tally->stuck++;
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

static enum death
death_of(unsigned int life)
{
	return life % DEATHS < DEATH_UNDER_LOAD ? (enum death)(life % DEATHS) : DEATH_UNDER_LOAD;
}

int
kill_often(struct peer *peer, const struct kill_cfg *cfg)
{
	struct tally tally = { 0 };
	unsigned int seed = cfg->seed;

	for (unsigned int i = 0; i < cfg->kills && tally.stuck == 0; i++)
		kill_one(peer, cfg, death_of(i), &seed, &tally);
	print_tally(cfg, &tally, peer->progress);
	return tally.stuck == 0 ? 0 : -1;
}

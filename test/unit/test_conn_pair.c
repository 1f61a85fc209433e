/* SPDX-License-Identifier: BSD-3-Clause */

/* A client and a server state machine talk to each other in memory. */

#include "conn_drive.h"
#include "memif_conn.h"
#include "unit.h"

#define QUEUE_MAX 4 /* the handshake goes by turns, so two messages are much already */

/** A message on its way. */
struct letter {
	struct mif_msg msg;
	unsigned int fds;
};

/** One end, what is on its way to it, and what it has been told to do. */
struct end {
	struct mif_conn conn;
	struct letter queue[QUEUE_MAX];
	unsigned int queued;
	unsigned int builds, binds, ups, closes;
	unsigned int regions;	      /* files that were sent, or taken */
	unsigned int rings[MIF_DIRS]; /* eventfds that were sent, or taken */
};

static struct end client, server;
static struct mif_conn_cfg client_cfg, server_cfg;
static struct mif_limits limits;
static const char *refusal;

static void
post(struct end *to, const struct mif_msg *msg)
{
	bool with_fd = msg->type == 4 || msg->type == 5;

	assert_true(to->queued < QUEUE_MAX);
	to->queue[to->queued++] = (struct letter){ .msg = *msg, .fds = with_fd };
}

/* The client's driver: rings one behind the other, two regions. */
static void
build(struct end *end, struct mif_actions *next)
{
	struct mif_geometry *geometry = &end->conn.geometry;
	uint32_t step = (uint32_t)mif_ring_bytes(end->conn.log2_ring_size);
	uint32_t offset = 0;

	end->builds++;
	for (int dir = 0; dir < MIF_DIRS; dir++) {
		for (uint16_t i = 0; i < geometry->rings[dir]; i++, offset += step)
			geometry->ring[dir][i] = (struct mif_ring_place){
				.offset = offset,
				.log2_ring_size = end->conn.log2_ring_size,
			};
	}
	geometry->regions = 2;
	geometry->region_size[0] = offset + 4096;
	geometry->region_size[1] = UINT64_C(1) << 40;
	mif_conn_built(&end->conn, next);
}

static void
count_sent(struct end *end, const struct mif_action *action)
{
	if (action->msg.type == 4)
		assert_int_equal(action->index, end->regions++);
	if (action->msg.type == 5)
		assert_int_equal(action->index, end->rings[action->dir]++);
}

/* Carries actions out; gives back those that the last one led to. */
static void
carry_out(struct end *end, struct end *peer, const struct mif_actions *actions,
		struct mif_actions *next)
{
	next->count = 0;
	assert_true(actions->count <= MIF_ACTIONS_MAX);
	for (unsigned int i = 0; i < actions->count; i++) {
		const struct mif_action *action = &actions->list[i];

		if (action->type == MIF_ACT_SEND) {
			count_sent(end, action);
			post(peer, &action->msg);
		} else if (action->type == MIF_ACT_BUILD) {
			build(end, next);
		} else if (action->type == MIF_ACT_BIND) {
			end->binds++;
			mif_conn_bound(&end->conn,
					end->conn.id == server_cfg.id ? &server_cfg : NULL, refusal,
					next);
		} else if (action->type == MIF_ACT_TAKE_REGION) {
			assert_int_equal(action->index, end->regions++);
		} else if (action->type == MIF_ACT_TAKE_RING) {
			assert_int_equal(action->index, end->rings[action->dir]++);
		} else if (action->type == MIF_ACT_UP) {
			end->ups++;
		} else {
			end->closes++;
		}
	}
}

static void
perform(struct end *end, struct end *peer, struct mif_actions *actions)
{
	struct mif_actions next;

	while (actions->count != 0) {
		carry_out(end, peer, actions, &next);
		*actions = next;
	}
}

/* Deliver the oldest message; false when there is none. */
static bool
deliver(struct end *end, struct end *peer)
{
	struct mif_actions actions;
	struct letter letter = end->queue[0];

	if (end->queued == 0)
		return false;
	end->queued--;
	memmove(end->queue, end->queue + 1, end->queued * sizeof(end->queue[0]));
	mif_conn_message(&end->conn, &letter.msg, letter.fds, &actions);
	perform(end, peer, &actions);
	return true;
}

static void
defaults(void)
{
	client_cfg = drive_client_cfg;
	server_cfg = drive_server_cfg;
	limits = drive_limits;
	refusal = NULL;
}

/* Both ends start, and the server's HELLO is on its way. */
static void
start(void)
{
	struct mif_actions actions;

	memset(&client, 0, sizeof(client));
	memset(&server, 0, sizeof(server));
	mif_conn_start_client(&client.conn, &client_cfg);
	mif_conn_start_server(&server.conn, "server program", &limits, &actions);
	perform(&server, &client, &actions);
}

/* Up to so many messages; returns how many there were. */
static unsigned int
talk(unsigned int most)
{
	unsigned int count = 0;

	while (count < most && (deliver(&client, &server) || deliver(&server, &client)))
		count++;
	return count;
}

static void
assert_same_geometry(const struct mif_geometry *a, const struct mif_geometry *b)
{
	assert_int_equal(a->regions, b->regions);
	assert_memory_equal(a->region_size, b->region_size, sizeof(a->region_size));
	for (int dir = 0; dir < MIF_DIRS; dir++) {
		assert_int_equal(a->rings[dir], b->rings[dir]);
		for (uint16_t i = 0; i < a->rings[dir]; i++) {
			const struct mif_ring_place *x = &a->ring[dir][i], *y = &b->ring[dir][i];

			assert_int_equal(x->region, y->region);
			assert_int_equal(x->offset, y->offset);
			assert_int_equal(x->log2_ring_size, y->log2_ring_size);
		}
	}
}

static void
assert_up(uint16_t c2s, uint16_t s2c)
{
	assert_int_equal(client.conn.state, MIF_STATE_UP);
	assert_int_equal(server.conn.state, MIF_STATE_UP);
	for (const struct end *end = &client; end != NULL; end = end == &client ? &server : NULL) {
		assert_int_equal(end->ups, 1);
		assert_int_equal(end->closes, 0);
		assert_int_equal(end->regions, 2);
		assert_int_equal(end->rings[MIF_C2S], c2s);
		assert_int_equal(end->rings[MIF_S2C], s2c);
	}
	assert_int_equal(client.builds, 1);
	assert_int_equal(server.binds, 1);
	assert_same_geometry(&client.conn.geometry, &server.conn.geometry);
	assert_string_equal(client.conn.peer_name, "server program");
	assert_string_equal(client.conn.peer_if_name, "server port");
	assert_string_equal(server.conn.peer_name, "client program");
	assert_string_equal(server.conn.peer_if_name, "client port");
}

/* Both are closed, once, for this reason of the server's or the client's. */
static void
assert_over(const char *reason, bool said_by_server)
{
	assert_int_equal(client.conn.state, MIF_STATE_CLOSED);
	assert_int_equal(server.conn.state, MIF_STATE_CLOSED);
	assert_int_equal(client.closes, 1);
	assert_int_equal(server.closes, 1);
	assert_string_equal(client.conn.reason, reason);
	assert_string_equal(server.conn.reason, reason);
	assert_int_equal(client.conn.by_peer, said_by_server);
	assert_int_equal(server.conn.by_peer, !said_by_server);
	assert_int_equal(client.ups + server.ups, 0);
}

static void
connect_rings(uint16_t c2s, uint16_t s2c)
{
	unsigned int messages;

	client_cfg.rings[MIF_C2S] = c2s;
	client_cfg.rings[MIF_S2C] = s2c;
	start();
	messages = talk(10000);
	if (c2s == 0 && s2c == 0) {
		assert_over("no rings", true);
		return;
	}
	assert_up(c2s, s2c);
	/* HELLO, INIT, 2 regions, the rings, CONNECT, and an answer to each but HELLO */
	assert_int_equal(messages, 1 + 2 * (1 + 2 + c2s + s2c + 1));
}

static void
every_number_of_rings(void **state)
{
	(void)state;
	defaults();
	for (uint16_t rings = 0; rings <= 255; rings++) {
		connect_rings(rings, rings);
		connect_rings(rings, 255 - rings);
		connect_rings(rings, 1);
	}
}

static void
every_ring_size(void **state)
{
	(void)state;
	defaults();
	for (uint8_t asked = 1; asked <= 14; asked++) {
		for (uint8_t most = 1; most <= 14; most++) {
			client_cfg.log2_ring_size = asked;
			limits.log2_ring_size = most;
			start();
			talk(1000);
			assert_up(1, 1);
			assert_int_equal(server.conn.geometry.ring[MIF_C2S][0].log2_ring_size,
					asked < most ? asked : most);
		}
	}
}

static void
fewer_rings_by_hello(void **state)
{
	static const uint16_t most[] = { 1, 2, 8, 254, 255 };

	(void)state;
	defaults();
	client_cfg.rings[MIF_C2S] = 255;
	client_cfg.rings[MIF_S2C] = 9;
	for (size_t i = 0; i < COUNT_OF(most); i++) {
		limits.rings[MIF_C2S] = most[i];
		limits.rings[MIF_S2C] = most[i];
		start();
		talk(10000);
		assert_up(most[i], most[i] < 9 ? most[i] : 9);
	}
}

/* Stock servers announce 255 rings and refuse those they have not: the client takes fewer. */
static void
fewer_rings_after_a_refusal(void **state)
{
	unsigned int refusals = 0;

	(void)state;
	defaults();
	client_cfg.rings[MIF_C2S] = 4;
	client_cfg.rings[MIF_S2C] = 5;
	for (;;) {
		start();
		server.conn.limits.rings[MIF_C2S] = 2; /* behind the HELLO that is out already */
		server.conn.limits.rings[MIF_S2C] = 3;
		talk(10000);
		if (client.conn.state == MIF_STATE_UP)
			break;
		assert_over("invalid ring index", true);
		assert_true(client.conn.ring_refused);
		client_cfg.rings[client.conn.dir] = client.conn.index;
		assert_in_range(++refusals, 1, 2);
	}
	assert_int_equal(refusals, 2);
	assert_up(2, 3);
}

static void
refused(const char *reason)
{
	start();
	talk(10000);
	assert_over(reason, true);
	assert_false(client.conn.ring_refused);
}

static void
refused_ports(void **state)
{
	(void)state;
	defaults();
	client_cfg.id = 8;
	refused("unmatched interface id");
	defaults();
	client_cfg.mode = MIF_MODE_IP;
	refused("mode mismatch");
	defaults();
	refusal = "already connected";
	refused("already connected");
	defaults();
	memset(server_cfg.secret, 's', MIF_SECRET_LEN);
	refused("secret required");
	memset(client_cfg.secret, 's', MIF_SECRET_LEN - 1);
	refused("incorrect secret");
	memset(client_cfg.secret, 's', MIF_SECRET_LEN);
	start();
	talk(10000);
	assert_up(1, 1);
}

static void
hang_up(struct end *end)
{
	struct mif_actions actions;

	mif_conn_hangup(&end->conn, "peer went away", &actions);
	perform(end, end == &client ? &server : &client, &actions);
}

/* The peer is killed after each message: the other end closes once, and answers nothing more. */
static void
either_end_dies_at_each_step(void **state)
{
	unsigned int steps;

	(void)state;
	defaults();
	start();
	steps = talk(10000);
	for (unsigned int step = 0; step <= steps; step++) {
		for (int who = 0; who < 2; who++) {
			struct end *dead = who == 0 ? &client : &server;
			struct end *alive = who == 0 ? &server : &client;

			start();
			assert_int_equal(talk(step), step);
			while (deliver(alive, dead)) /* what was sent still comes */
				;
			hang_up(alive);
			assert_int_equal(alive->closes, 1);
			assert_int_equal(alive->conn.state, MIF_STATE_CLOSED);
			hang_up(alive);
			assert_int_equal(alive->closes, 1);
		}
	}
}

/* Either end gives up after each message, and the other one is told why. */
static void
either_end_gives_up_at_each_step(void **state)
{
	struct mif_actions actions;
	unsigned int steps;

	(void)state;
	defaults();
	start();
	steps = talk(10000);
	for (unsigned int step = 0; step < 2 * steps; step++) {
		struct end *first = step % 2 == 0 ? &client : &server;
		struct end *second = step % 2 == 0 ? &server : &client;

		start();
		assert_int_equal(talk(step / 2), step / 2);
		mif_conn_fail(&first->conn, "device removed", &actions);
		perform(first, second, &actions);
		talk(10000);
		assert_string_equal(first->conn.reason, "device removed");
		assert_string_equal(second->conn.reason, "device removed");
		assert_false(first->conn.by_peer);
		assert_true(second->conn.by_peer);
		assert_int_equal(first->closes + second->closes, 2);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_number_of_rings),
		cmocka_unit_test(every_ring_size),
		cmocka_unit_test(fewer_rings_by_hello),
		cmocka_unit_test(fewer_rings_after_a_refusal),
		cmocka_unit_test(refused_ports),
		cmocka_unit_test(either_end_dies_at_each_step),
		cmocka_unit_test(either_end_gives_up_at_each_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "memif_desc.h"
#include "memif_ring.h"
#include "unit.h"

#define BUFFER_BYTES 64
#define BURST_MAX 32

/** A ring in ordinary memory with one buffer per slot. */
struct lane {
	struct mif_ring *ring;
	uint8_t *buffers;
	uint16_t slots;
	enum mif_dir dir;
	uint32_t total;	 /**< packets to carry */
	uint16_t start;	 /**< of both indices */
	uint32_t errors; /**< of the consumer */
};

/** One end of a lane: what it knows by itself. */
struct end {
	struct lane *lane;
	uint16_t *own, *peer; /**< the shared indices */
	uint16_t next;	      /**< the slot to look at next, free-running */
	uint32_t sequence;    /**< of the next packet */
};

static void
lane_init(struct lane *lane, uint8_t log2, enum mif_dir dir, uint16_t start, uint32_t total)
{
	uint16_t slots = (uint16_t)(1u << log2);

	*lane = (struct lane){ .slots = slots, .dir = dir, .total = total, .start = start };
	lane->ring = aligned_alloc(64, mif_ring_bytes(log2) + 64 - mif_ring_bytes(log2) % 64);
	lane->buffers = malloc((size_t)slots * BUFFER_BYTES);
	assert_non_null(lane->ring);
	assert_non_null(lane->buffers);
	mif_ring_format(lane->ring);
	for (uint32_t i = 0; i < slots; i++)
		mif_desc_write(&lane->ring->desc[i],
				(struct mif_desc){ .length = BUFFER_BYTES,
						.offset = i * BUFFER_BYTES });
	/* S2C: the client has posted all its buffers. */
	lane->ring->head = dir == MIF_C2S ? start : (uint16_t)(start + slots);
	lane->ring->tail = start;
}

static void
lane_free(struct lane *lane)
{
	free(lane->ring);
	free(lane->buffers);
}

static struct end
end_of(struct lane *lane, bool producer)
{
	enum mif_role role = (lane->dir == MIF_C2S) == producer ? MIF_CLIENT : MIF_SERVER;

	return (struct end){
		.lane = lane,
		.own = mif_ring_index(lane->ring, role),
		.peer = mif_ring_index(lane->ring, role == MIF_CLIENT ? MIF_SERVER : MIF_CLIENT),
		.next = lane->start,
	};
}

/* Slots that this end may use now. The client of C2S also needs what the server has given back. */
static uint16_t
usable(const struct end *end, bool producer)
{
	uint16_t span = mif_ring_span(end->next, mif_ring_peek(end->peer));

	return producer && end->lane->dir == MIF_C2S ? (uint16_t)(end->lane->slots + span) : span;
}

/* The client of S2C posts a slot again as soon as it has taken it: a ring ahead. */
static void
advance(struct end *end, uint16_t count, bool producer)
{
	bool posts = !producer && end->lane->dir == MIF_S2C;

	end->next = (uint16_t)(end->next + count);
	mif_ring_publish(end->own, (uint16_t)(end->next + (posts ? end->lane->slots : 0)));
}

static uint32_t
length_of(uint32_t sequence)
{
	return 8 + sequence % (BUFFER_BYTES - 8);
}

/* Outside the test's own thread, where cmocka's assertions cannot be used. */
static void
check_span(const struct lane *lane, uint16_t count)
{
	if (count <= lane->slots)
		return;
	printf("# the peer's index is %u slots ahead in a ring of %u\n", count, lane->slots);
	fflush(stdout);
	abort();
}

static uint16_t
produce(struct end *end, uint16_t most)
{
	struct lane *lane = end->lane;
	uint16_t count = usable(end, true);
	uint32_t left = lane->total - end->sequence;

	check_span(lane, count);
	count = count < most ? count : most;
	count = count < left ? count : (uint16_t)left;
	for (uint16_t i = 0; i < count; i++, end->sequence++) {
		struct mif_desc *slot =
				&lane->ring->desc[(uint16_t)(end->next + i) & (lane->slots - 1)];
		struct mif_desc desc = mif_desc_read(slot);

		memset(lane->buffers + desc.offset, (uint8_t)end->sequence,
				length_of(end->sequence));
		memcpy(lane->buffers + desc.offset, &end->sequence, sizeof(end->sequence));
		desc.length = length_of(end->sequence);
		mif_desc_write(slot, desc);
	}
	if (count != 0)
		advance(end, count, true);
	return count;
}

static bool
packet_is(const struct lane *lane, struct mif_desc desc, uint32_t sequence)
{
	const struct mif_span region = { lane->buffers, (uint64_t)lane->slots * BUFFER_BYTES };
	const uint8_t *data = lane->buffers + desc.offset;
	uint32_t found;

	if (!mif_desc_ok(&region, 1, desc) || desc.length != length_of(sequence))
		return false;
	memcpy(&found, data, sizeof(found));
	for (uint32_t i = sizeof(found); i < desc.length; i++)
		if (data[i] != (uint8_t)sequence)
			return false;
	return found == sequence;
}

static uint16_t
consume(struct end *end, uint16_t most)
{
	struct lane *lane = end->lane;
	uint16_t count = usable(end, false);

	check_span(lane, count);
	count = count < most ? count : most;
	for (uint16_t i = 0; i < count; i++) {
		struct mif_desc *slot =
				&lane->ring->desc[(uint16_t)(end->next + i) & (lane->slots - 1)];
		struct mif_desc desc = mif_desc_read(slot);

		lane->errors += !packet_is(lane, desc, end->sequence++);
		desc.length = BUFFER_BYTES;
		if (lane->dir == MIF_S2C)
			mif_desc_write(slot, desc);
	}
	if (count != 0)
		advance(end, count, false);
	return count;
}

static void
run_alone(uint8_t log2, enum mif_dir dir, uint16_t start)
{
	struct lane lane;
	struct end from, to;
	uint32_t seed = 1 + log2;

	lane_init(&lane, log2, dir, start, 5u << log2);
	from = end_of(&lane, true);
	to = end_of(&lane, false);
	/* First to the brim, then empty, then by chance. */
	assert_int_equal(produce(&from, UINT16_MAX), lane.slots);
	assert_int_equal(produce(&from, UINT16_MAX), 0);
	assert_int_equal(consume(&to, UINT16_MAX), lane.slots);
	assert_int_equal(consume(&to, UINT16_MAX), 0);
	while (to.sequence < lane.total) {
		produce(&from, (uint16_t)(1 + unit_random(&seed) % lane.slots));
		consume(&to, (uint16_t)(1 + unit_random(&seed) % lane.slots));
	}
	assert_int_equal(lane.errors, 0);
	assert_int_equal(lane.ring->cookie, MIF_RING_COOKIE);
	lane_free(&lane);
}

static void
indices_wrap_in_one_thread(void **state)
{
	(void)state;
	for (uint8_t log2 = 1; log2 <= 14; log2++) {
		uint32_t slots = 1u << log2;
		const uint32_t starts[] = { 0, 1, slots, 32767, 32768, 65535 - slots, 65536 - slots,
			65537 - slots, 65536 - slots / 2, 65535 };

		for (size_t i = 0; i < COUNT_OF(starts); i++) {
			run_alone(log2, MIF_C2S, (uint16_t)starts[i]);
			run_alone(log2, MIF_S2C, (uint16_t)starts[i]);
		}
	}
}

static void *
consume_all(void *argument)
{
	struct end end = end_of(argument, false);
	uint32_t seed = 77;

	while (end.sequence < end.lane->total)
		if (consume(&end, (uint16_t)(1 + unit_random(&seed) % BURST_MAX)) == 0)
			sched_yield();
	return NULL;
}

static void
run_threads(uint8_t log2, enum mif_dir dir, uint32_t total)
{
	struct lane lane;
	struct end end;
	pthread_t thread;
	uint32_t seed = 99;

	lane_init(&lane, log2, dir, (uint16_t)(65536 - total / 2), total);
	end = end_of(&lane, true);
	assert_int_equal(pthread_create(&thread, NULL, consume_all, &lane), 0);
	while (end.sequence < total)
		if (produce(&end, (uint16_t)(1 + unit_random(&seed) % BURST_MAX)) == 0)
			sched_yield();
	pthread_join(thread, NULL);
	assert_int_equal(lane.errors, 0);
	assert_int_equal(lane.ring->tail, (uint16_t)(lane.start + total));
	lane_free(&lane);
}

static void
indices_wrap_between_threads(void **state)
{
	(void)state;
	for (uint8_t log2 = 1; log2 <= 14; log2++) {
		uint32_t total = log2 < 13 ? 20000 : 3u << log2;

		run_threads(log2, MIF_C2S, total);
		run_threads(log2, MIF_S2C, total);
	}
}

static void
many_wraps_between_threads(void **state)
{
	(void)state;
	run_threads(10, MIF_C2S, 1000000);
	run_threads(10, MIF_S2C, 1000000);
}

static void
client_owns_head_and_server_owns_tail(void **state)
{
	struct mif_ring ring;

	(void)state;
	assert_ptr_equal(mif_ring_index(&ring, MIF_CLIENT), &ring.head);
	assert_ptr_equal(mif_ring_index(&ring, MIF_SERVER), &ring.tail);
	mif_ring_format(&ring);
	mif_ring_publish(&ring.head, 0x1234);
	mif_ring_publish(&ring.tail, 0xfedc);
	assert_int_equal(mif_ring_peek(&ring.head), 0x1234);
	assert_int_equal(mif_ring_peek(&ring.tail), 0xfedc);
	assert_int_equal(ring.cookie, MIF_RING_COOKIE);
	assert_int_equal(ring.flags, 0);
}

static void
format_clears_the_header_only(void **state)
{
	uint8_t memory[128 + 16] __attribute__((aligned(64)));
	uint8_t wanted[128 + 16] = { 0x20, 0x1f, 0xe3, 0x03 };

	(void)state;
	memset(memory, 0xee, sizeof(memory));
	memset(wanted + 128, 0xee, 16);
	mif_ring_format((struct mif_ring *)memory);
	assert_memory_equal(memory, wanted, sizeof(memory));
}

/* Of all that a peer may write, a ring's worth and none at all are possible: the rest shows. */
static void
hostile_indices_show(void **state)
{
	static const uint16_t owns[] = { 0, 1, 2, 32767, 32768, 49152, 65534, 65535 };

	(void)state;
	for (uint8_t log2 = 1; log2 <= 14; log2++) {
		uint32_t slots = 1u << log2;

		for (size_t i = 0; i < COUNT_OF(owns); i++) {
			uint32_t fits = 0;

			for (uint32_t peer = 0; peer <= UINT16_MAX; peer++)
				fits += mif_ring_span(owns[i], (uint16_t)peer) <= slots;
			assert_int_equal(fits, slots + 1);
			assert_int_equal(mif_ring_span(owns[i], (uint16_t)(owns[i] + slots)),
					slots);
			/* One too far, one step back. */
			assert_true(mif_ring_span(owns[i], (uint16_t)(owns[i] + slots + 1)) >
					slots);
			assert_true(mif_ring_span(owns[i], (uint16_t)(owns[i] - 1)) > slots);
		}
	}
}

static void
events_are_masked_and_unmasked(void **state)
{
	struct mif_ring ring;

	(void)state;
	mif_ring_format(&ring);
	assert_true(mif_ring_wants_event(&ring));
	mif_ring_mask(&ring);
	assert_false(mif_ring_wants_event(&ring));
	mif_ring_unmask(&ring);
	assert_true(mif_ring_wants_event(&ring));
	mif_ring_mask(&ring);
	assert_false(mif_ring_wants_event(&ring));
	/* Bits that mean nothing, from a peer. */
	ring.flags = 0xfffe;
	assert_true(mif_ring_wants_event(&ring));
	ring.flags = 0xffff;
	assert_false(mif_ring_wants_event(&ring));
}

#define SLEEPERS 64
#define WAKE_ROUNDS 30000

/** Receivers that go to sleep just when a sender publishes. */
struct sleepers {
	struct mif_ring *ring[SLEEPERS];
	atomic_uint arrived;
	bool woken[SLEEPERS], seen[SLEEPERS];
};

/* Both threads leave this at the same moment, as far as can be. */
static void
meet(struct sleepers *sleepers, unsigned int round)
{
	unsigned int spins = 0;

	atomic_fetch_add(&sleepers->arrived, 1);
	while (atomic_load(&sleepers->arrived) < 2 * (round + 1))
		if (++spins % 1000 == 0)
			sched_yield();
}

static void *
go_to_sleep(void *argument)
{
	struct sleepers *sleepers = argument;

	for (unsigned int round = 0; round < WAKE_ROUNDS; round++) {
		for (unsigned int i = 0; i < SLEEPERS; i++)
			mif_ring_mask(sleepers->ring[i]);
		meet(sleepers, 2 * round);
		for (unsigned int i = 0; i < SLEEPERS; i++) {
			struct mif_ring *ring = sleepers->ring[i];

			mif_ring_unmask(ring);
			sleepers->seen[i] = mif_ring_peek(&ring->tail) == (uint16_t)(round + 1);
		}
		meet(sleepers, 2 * round + 1);
	}
	return NULL;
}

/* Returns how many wake-ups were lost. */
static unsigned int
wake(struct sleepers *sleepers)
{
	unsigned int lost = 0;

	for (unsigned int round = 0; round < WAKE_ROUNDS; round++) {
		meet(sleepers, 2 * round);
		for (unsigned int i = 0; i < SLEEPERS; i++) {
			struct mif_ring *ring = sleepers->ring[i];

			mif_ring_publish(&ring->tail, (uint16_t)(round + 1));
			sleepers->woken[i] = mif_ring_wants_event(ring);
		}
		meet(sleepers, 2 * round + 1);
		for (unsigned int i = 0; i < SLEEPERS; i++)
			lost += !sleepers->woken[i] && !sleepers->seen[i];
	}
	return lost;
}

static void
no_wake_up_is_lost(void **state)
{
	static struct sleepers sleepers;
	pthread_t thread;
	unsigned int lost;

	(void)state;
	for (unsigned int i = 0; i < SLEEPERS; i++) {
		sleepers.ring[i] = aligned_alloc(64, sizeof(struct mif_ring));
		assert_non_null(sleepers.ring[i]);
		mif_ring_format(sleepers.ring[i]);
	}
	assert_int_equal(pthread_create(&thread, NULL, go_to_sleep, &sleepers), 0);
	lost = wake(&sleepers);
	pthread_join(thread, NULL);
	for (unsigned int i = 0; i < SLEEPERS; i++)
		free(sleepers.ring[i]);
	if (lost != 0)
		print_message("# %u of %u wake-ups were lost\n", lost, WAKE_ROUNDS * SLEEPERS);
	assert_int_equal(lost, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(indices_wrap_in_one_thread),
		cmocka_unit_test(indices_wrap_between_threads),
		cmocka_unit_test(many_wraps_between_threads),
		cmocka_unit_test(client_owns_head_and_server_owns_tail),
		cmocka_unit_test(format_clears_the_header_only),
		cmocka_unit_test(hostile_indices_show),
		cmocka_unit_test(events_are_masked_and_unmasked),
		cmocka_unit_test(no_wake_up_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

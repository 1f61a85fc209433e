/* SPDX-License-Identifier: BSD-3-Clause */

#include <stddef.h>
#include <string.h>

#include "limit_ring.h"

#define LINE MIF_LINE_SIZE

/* Longer packets are fetched a few at a time: a burst of them is all of the first-level cache. */
#define PREFETCH_BYTES 2048

#define INLINE static inline __attribute__((always_inline))

/* A line, moved with the widest moves that the caller is built for. */
typedef uint64_t line_vector __attribute__((vector_size(LINE), aligned(1), may_alias));

INLINE void
copy(uint8_t *to, const uint8_t *from, uint32_t length)
{
	uint32_t done;

	for (done = 0; done + LINE <= length; done += LINE)
		*(line_vector *)(to + done) = *(const line_vector *)(from + done);
	if (done == length)
		return;
	if (length >= LINE)
		*(line_vector *)(to + length - LINE) = *(const line_vector *)(from + length - LINE);
	else
		memcpy(to, from, length);
}

INLINE uint32_t
place_of(const struct limit_pipe *pipe, uint16_t index)
{
	return pipe->buffers_at + (index & (pipe->cfg.buffers - 1)) * pipe->cfg.stride;
}

INLINE void
prefetch_packet(const uint8_t *data, uint32_t length, const int write)
{
	for (uint32_t at = 0; at < length; at += LINE) {
		if (write)
			__builtin_prefetch(data + at, 1);
		else
			__builtin_prefetch(data + at, 0);
	}
}

/* How many packets ahead of the copying. */
INLINE uint32_t
ahead_of(const struct limit_cfg *cfg)
{
	uint32_t packets = PREFETCH_BYTES / cfg->length;

	return packets == 0 ? 1 : packets;
}

INLINE uint32_t
number_of(const uint8_t *packet)
{
	uint32_t number;

	memcpy(&number, packet, sizeof(number));
	return number;
}

/* Where a packet of the burst lies: the producer knows it, the consumer is told. */
INLINE uint8_t *
packet_at(const struct limit_pipe *pipe, uint16_t index, const bool producer)
{
	uint32_t place = producer ? place_of(pipe, index) :
				    pipe->ring->desc[index & (LIMIT_SLOTS - 1)].offset;

	return pipe->region + place;
}

/* Have the packets from *fetched up to some way ahead of packet i on their way. */
INLINE void
fetch_ahead(const struct limit_pipe *pipe, uint16_t index, uint32_t i, uint32_t count,
		uint32_t *fetched, const bool producer)
{
	uint32_t until = i + ahead_of(&pipe->cfg) + 1;

	for (until = until < count ? until : count; *fetched < until; (*fetched)++)
		prefetch_packet(packet_at(pipe, (uint16_t)(index + *fetched), producer),
				pipe->cfg.length, producer);
}

INLINE void
write_number(uint8_t *packet, uint32_t length, uint32_t number)
{
	memcpy(packet, &number, sizeof(number));
	memcpy(packet + length - sizeof(number), &number, sizeof(number));
}

INLINE bool
is_number(const uint8_t *packet, uint32_t length, uint32_t number)
{
	return number_of(packet) == number && number_of(packet + length - sizeof(number)) == number;
}

/* Send up to count packets; returns how many there was room for. */
INLINE uint32_t
send(struct limit_pipe *pipe, const struct limit_store *store, uint32_t count, const bool check)
{
	const struct limit_cfg *cfg = &pipe->cfg;
	uint32_t room = cfg->buffers - mif_ring_span(pipe->tail_seen, pipe->head);
	bool fetch = cfg->prefetch && cfg->payload;
	uint32_t fetched = 0;
	uint16_t index;

	if (room < count) {
		pipe->tail_seen = mif_ring_peek(&pipe->ring->tail);
		room = cfg->buffers - mif_ring_span(pipe->tail_seen, pipe->head);
		count = room < count ? room : count;
	}
	if (count == 0)
		return 0;
	for (uint32_t i = 0; i < count; i++) {
		index = (uint16_t)(pipe->head + i);
		if (fetch)
			fetch_ahead(pipe, pipe->head, i, count, &fetched, true);
		if (check)
			write_number(store->packet[i], cfg->length, (uint32_t)pipe->sent + i);
		if (cfg->payload)
			copy(packet_at(pipe, index, true), store->packet[i], cfg->length);
		pipe->ring->desc[index & (LIMIT_SLOTS - 1)] = (struct mif_desc){
			.length = cfg->length,
			.offset = place_of(pipe, index),
		};
	}
	pipe->head = (uint16_t)(pipe->head + count);
	pipe->sent += count;
	mif_ring_publish(&pipe->ring->head, pipe->head);
	return count;
}

/* Receive up to a burst; returns how many packets. */
INLINE uint32_t
take(struct limit_pipe *pipe, const struct limit_store *store, const bool check)
{
	const struct limit_cfg *cfg = &pipe->cfg;
	uint32_t count = mif_ring_span(pipe->tail, mif_ring_peek(&pipe->ring->head));
	bool fetch = cfg->prefetch && cfg->payload;
	uint32_t fetched = 0, length = 0;
	struct mif_desc desc;

	if (count == 0)
		return 0;
	count = count < LIMIT_BURST ? count : LIMIT_BURST;
	for (uint32_t i = 0; i < count; i++) {
		if (fetch)
			fetch_ahead(pipe, pipe->tail, i, count, &fetched, false);
		desc = pipe->ring->desc[(pipe->tail + i) & (LIMIT_SLOTS - 1)];
		length |= desc.length;
		if (cfg->payload)
			copy(store->packet[i], pipe->region + desc.offset, desc.length);
		if (check)
			pipe->wrong += !is_number(store->packet[i], cfg->length,
					(uint32_t)pipe->received + i);
	}
	pipe->wrong += length != cfg->length;
	pipe->tail = (uint16_t)(pipe->tail + count);
	__atomic_store_n(&pipe->received, pipe->received + count, __ATOMIC_RELAXED);
	mif_ring_publish(&pipe->ring->tail, pipe->tail);
	return count;
}

INLINE bool
goes_on(const struct limit_job *job)
{
	return __atomic_load_n(job->stop, __ATOMIC_RELAXED) == 0;
}

INLINE void
produce(const struct limit_job *job)
{
	while (goes_on(job)) {
		if (job->check)
			send(job->out, job->store, LIMIT_BURST, true);
		else
			send(job->out, job->store, LIMIT_BURST, false);
	}
}

INLINE void
consume(const struct limit_job *job)
{
	while (goes_on(job)) {
		if (job->check)
			take(job->in, job->store, true);
		else
			take(job->in, job->store, false);
	}
}

INLINE void
relay(const struct limit_job *job)
{
	uint32_t count;

	while (goes_on(job)) {
		if (job->check) {
			count = take(job->in, job->store, true);
			send(job->out, job->store, count, true);
		} else {
			count = take(job->in, job->store, false);
			send(job->out, job->store, count, false);
		}
	}
}

/* The same bodies for several widths of vectors. */
struct bodies {
	void (*produce)(const struct limit_job *job);
	void (*consume)(const struct limit_job *job);
	void (*relay)(const struct limit_job *job);
};

#define BODIES(width, attribute) \
	attribute static void produce_##width(const struct limit_job *job) \
	{ \
		produce(job); \
	} \
	attribute static void consume_##width(const struct limit_job *job) \
	{ \
		consume(job); \
	} \
	attribute static void relay_##width(const struct limit_job *job) \
	{ \
		relay(job); \
	} \
	static const struct bodies bodies_##width = { produce_##width, consume_##width, \
		relay_##width }

#if defined(__x86_64__)
BODIES(512, __attribute__((target("avx512f"))));
BODIES(256, __attribute__((target("avx2"))));
#endif
BODIES(plain, );

/* The widest that the CPU has. */
static const struct bodies *
widest(void)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx512f"))
		return &bodies_512;
	if (__builtin_cpu_supports("avx2"))
		return &bodies_256;
#endif
	return &bodies_plain;
}

void
limit_produce(const struct limit_job *job)
{
	widest()->produce(job);
}

void
limit_consume(const struct limit_job *job)
{
	widest()->consume(job);
}

void
limit_relay(const struct limit_job *job)
{
	widest()->relay(job);
}

void
limit_inject(const struct limit_job *job, unsigned int bursts)
{
	for (unsigned int i = 0; i < bursts; i++) {
		if (job->check)
			send(job->out, job->store, LIMIT_BURST, true);
		else
			send(job->out, job->store, LIMIT_BURST, false);
	}
}

uint64_t
limit_pipe_bytes(const struct limit_cfg *cfg)
{
	uint64_t ring = (mif_ring_bytes(LIMIT_LOG2_SLOTS) + LINE - 1) / LINE * LINE;

	return ring + (uint64_t)cfg->stride * cfg->buffers;
}

void
limit_pipe_init(struct limit_pipe *pipe, const struct limit_cfg *cfg, uint8_t *region)
{
	uint64_t bytes = limit_pipe_bytes(cfg);

	memset(pipe, 0, sizeof(*pipe));
	memset(region, 0, bytes);
	pipe->cfg = *cfg;
	pipe->region = region;
	pipe->ring = (struct mif_ring *)(void *)region;
	pipe->buffers_at = (uint32_t)(bytes - (uint64_t)cfg->stride * cfg->buffers);
	mif_ring_format(pipe->ring);
}

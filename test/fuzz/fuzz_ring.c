/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The real bursts over a hostile peer's memory, which changes while they run: at any of their reads
 * of shared memory, before it is done, as the input says. So a descriptor that is looked at twice
 * can differ, and every run can be repeated. The reads are counted too: a burst may not work longer
 * than its packets and its ring explain.
 *
 * The bursts are compiled with -fsanitize-coverage=trace-loads, which calls the functions below.
 */

#include "ring_check.h"

#define STEPS_MAX 200
#define CHANGES_MAX 16

/* A write of the peer, in front of the burst's read number `at`. */
struct change {
	uint64_t at;
	uint8_t *to;
	uint64_t value;
	uint8_t bytes;
};

/* What goes on while a burst runs. */
static struct {
	bool watching;
	bool follows; /* the peer advances as soon as it can */
	uint64_t reads, reads_max;
	struct change changes[CHANGES_MAX];
	unsigned int count, next;
} peer;

/* The application keeps what the next burst receives. */
static bool keeps;

/* The posted buffers are such that what is written there can be read back. */
static bool honest;

static void
apply(const struct change *change)
{
	memcpy(change->to, &change->value, change->bytes);
}

static void
before_read(const void *addr)
{
	if (!peer.watching || !world_in_regions(addr))
		return;
	peer.reads++;
	FUZZ_CHECK(peer.reads <= peer.reads_max, "more than %u reads in a burst",
			(unsigned int)peer.reads_max);
	/* As far as it may go: such a peer sees from the descriptors how far we are. */
	if (peer.follows && addr == world_peer_index())
		*world_peer_index() = world_farthest_index();
	while (peer.next < peer.count && peer.changes[peer.next].at <= peer.reads)
		apply(&peer.changes[peer.next++]);
}

/* Called by the compiler's instrumentation, whose names these are. */
void __sanitizer_cov_load1(const uint8_t *addr);
void __sanitizer_cov_load2(const uint16_t *addr);
void __sanitizer_cov_load4(const uint32_t *addr);
void __sanitizer_cov_load8(const uint64_t *addr);
void __sanitizer_cov_load16(const void *addr);

void
__sanitizer_cov_load1(const uint8_t *addr)
{
	before_read(addr);
}

void
__sanitizer_cov_load2(const uint16_t *addr)
{
	before_read(addr);
}

void
__sanitizer_cov_load4(const uint32_t *addr)
{
	before_read(addr);
}

void
__sanitizer_cov_load8(const uint64_t *addr)
{
	before_read(addr);
}

void
__sanitizer_cov_load16(const void *addr)
{
	before_read(addr);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	world_init();
	return 0;
}

static struct mif_desc *
near_cursor(struct fuzz_input *in)
{
	return &world.end->ring->desc[(world.end->cursor + fuzz_u8(in)) & world.end->mask];
}

/* The first byte of a slot's bytes, which ip mode looks at. */
static uint8_t *
first_byte_near(struct fuzz_input *in)
{
	uint16_t ahead = (uint16_t)(fuzz_u8(in) % RTE_MAX(world_slots(), 1u));
	uint16_t index = (uint16_t)(world.end->cursor + ahead);
	const struct mif_desc *desc = &world.end->ring->desc[index & world.end->mask];
	struct mif_span region = world_region(desc->region);

	if (world.cfg.role == MIF_CLIENT && world_slots() != 0)
		return world_slot_data(index);
	return desc->offset < region.size ? region.base + desc->offset : world_region(1).base;
}

/* The further a change lies in the future, the less it depends on what comes before. */
static void
add_change(struct fuzz_input *in)
{
	struct change *change = &peer.changes[peer.count];
	struct mif_desc desc;
	uint8_t kind = fuzz_u8(in);

	if (peer.count == CHANGES_MAX)
		return;
	change->at = 1 + fuzz_u8(in) + (peer.count != 0 ? change[-1].at : 0);
	if (kind < 100) {
		change->to = (uint8_t *)world_peer_index();
		change->bytes = sizeof(uint16_t);
		change->value = kind < 50 ? world_honest_index(fuzz_u8(in)) : fuzz_u16(in);
	} else if (kind < 110 && !world.cfg.transmit) {
		change->to = first_byte_near(in);
		change->bytes = 1;
		change->value = fuzz_u8(in);
	} else if (kind < 240) {
		change->to = (uint8_t *)near_cursor(in);
		change->bytes = sizeof(change->value);
		desc = world_read_desc(in);
		/* Half a descriptor is what the driver reads at once. */
		change->to += (kind & 1) * sizeof(change->value);
		memcpy(&change->value, (uint8_t *)&desc + (kind & 1) * sizeof(change->value),
				sizeof(change->value));
	} else {
		change->to = (uint8_t *)world.end->ring +
				fuzz_u16(in) % mif_ring_bytes(world.cfg.log2);
		change->bytes = 1;
		change->value = fuzz_u8(in);
	}
	peer.count++;
}

/* What comes in ip mode is of either version. */
static void
write_first_byte(uint16_t index, const struct mif_desc *desc)
{
	uint8_t byte = desc->length % 4 == 3 ? 0x60 : 0x45;

	if (world.cfg.transmit || world.cfg.mode == MIF_MODE_ETHERNET)
		return;
	if (world.cfg.role == MIF_CLIENT)
		*world_slot_data(index) = byte;
	else
		world_region(desc->region).base[desc->offset] = byte;
}

/* A run of slots that a decent peer would have filled, or posted. */
static void
fill_decently(struct fuzz_input *in)
{
	uint32_t most = world.cfg.transmit ? world.end->size : world_slots();
	uint32_t count = fuzz_u8(in) % (most + 1);
	uint32_t length = fuzz_u16(in) % 2049;
	uint32_t chain = fuzz_range(in, 1, 4);
	uint64_t size = world.cfg.role == MIF_SERVER ? world_region(1).size : 1 << 17;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t at = (world.end->cursor + i) & world.end->mask;
		struct mif_desc desc = {
			.region = 1,
			.length = length,
			.offset = (uint32_t)((uint64_t)at * length % (size - length)),
			.flags = !world.cfg.transmit && (i + 1) % chain != 0 ? MIF_DESC_NEXT : 0,
		};

		if (world.cfg.role == MIF_CLIENT)
			desc.length %= world.end->buffer_size + 1;
		world.end->ring->desc[at] = desc;
		write_first_byte((uint16_t)(world.end->cursor + i), &desc);
	}
	/* One that takes back what it has posted before is not decent. */
	honest = length != 0 && (uint64_t)world.end->size * length < size - length &&
			count >= (uint16_t)(world.end->limit - world.end->cursor);
	*world_peer_index() = world_honest_index((uint16_t)count);
}

static void
receive(uint16_t count)
{
	struct rte_mbuf *mbufs[WORLD_BURST_MAX];
	bool quiet = peer.count == 0 && !peer.follows;
	uint16_t done;

	if (quiet)
		check_before_rx(count);
	peer.reads_max = 64 * ((uint64_t)world.end->size + 64);
	peer.watching = true;
	done = world_burst(mbufs, count);
	peer.watching = false;
	if (quiet)
		check_after_rx(mbufs, done);
	if (keeps)
		world_hold(mbufs, done);
	world_free(mbufs, keeps ? 0 : done);
}

/* A server that takes slots before they are published takes them while they are being filled. */
static bool
server_is_behind(void)
{
	const struct mif_ring_end *end = world.end;

	return (uint16_t)(*world_peer_index() - end->limit) <= (uint16_t)(end->cursor - end->limit);
}

static void
transmit(struct fuzz_input *in, uint16_t count)
{
	bool quiet = peer.count == 0 && !peer.follows;
	bool decent = world.cfg.role == MIF_CLIENT ? server_is_behind() : honest;
	struct rte_mbuf *mbufs[WORLD_BURST_MAX];
	uint64_t first = world.seed;
	uint16_t packets, done;

	for (packets = 0; packets < count; packets++) {
		uint8_t shape = fuzz_u8(in);

		mbufs[packets] = world_packet(in,
				shape < 200		    ? 1 :
						shape < 254 ? shape % 8 + 1 :
							      40);
		if (mbufs[packets] == NULL)
			break;
	}
	if (quiet)
		check_before_tx(mbufs, packets, first);
	peer.reads_max = 64 + (packets + 1u) * (8 * (uint64_t)world.end->size + 64);
	peer.watching = true;
	done = world_burst(mbufs, packets);
	peer.watching = false;
	if (quiet)
		check_after_tx(done, decent);
	world_free(mbufs + done, (uint16_t)(packets - done));
}

static void
burst(struct fuzz_input *in)
{
	uint16_t count = (uint16_t)fuzz_range(in, 0, WORLD_BURST_MAX);

	peer.reads = 0;
	peer.next = 0;
	if (world.cfg.transmit)
		transmit(in, count);
	else
		receive(count);
	honest = honest && peer.count == 0 && !peer.follows;
	peer.count = 0;
	peer.follows = false;
	keeps = false;
}

/* Other users of the pool may leave little. */
static void
burst_with_few_mbufs(struct fuzz_input *in)
{
	struct rte_mbuf *taken[1023];
	unsigned int available = rte_mempool_avail_count(world.pool);
	unsigned int count = available - RTE_MIN(available, (unsigned int)fuzz_u8(in));
	struct rte_mbuf *mbufs[WORLD_BURST_MAX];
	uint16_t done;

	if (world.cfg.transmit)
		return;
	/* None of none is an error for an empty pool. */
	FUZZ_CHECK(count == 0 || rte_mempool_get_bulk(world.pool, (void **)taken, count) == 0,
			"no mbufs");
	check_before_rx(WORLD_BURST_MAX);
	done = world_burst(mbufs, WORLD_BURST_MAX);
	check_after_rx(mbufs, done);
	rte_mempool_put_bulk(world.pool, (void **)taken, count);
	world_free(mbufs, done);
}

static void
step(struct fuzz_input *in)
{
	uint8_t kind = fuzz_u8(in);

	switch (kind % 8) {
	case 0:
	case 1:
		honest = false;
		if (kind == 8 && !world.cfg.transmit) {
			*first_byte_near(in) = fuzz_u8(in);
			break;
		}
		*near_cursor(in) = world_read_desc(in);
		break;
	case 2:
		honest = false;
		*world_peer_index() = world_honest_index(fuzz_u8(in));
		break;
	case 3:
		fill_decently(in);
		break;
	case 4:
		add_change(in);
		break;
	case 5:
		honest = false;
		if (fuzz_u8(in) < 32)
			*world_peer_index() = fuzz_u16(in);
		else
			peer.follows = true;
		world.end->ring->flags = fuzz_u8(in) & 1;
		break;
	case 6:
		if (kind == 6 && peer.count == 0 && !peer.follows) {
			burst_with_few_mbufs(in);
			break;
		}
		if (kind == 14) {
			world_free_held(fuzz_u8(in));
			break;
		}
		keeps = kind == 22;
		/* fall through */
	default:
		burst(in);
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct world_cfg cfg = world_read_cfg(&in);

	world_start(&cfg);
	peer.count = 0;
	peer.follows = false;
	honest = false;
	keeps = false;
	for (int i = 0; i < STEPS_MAX && in.left != 0; i++)
		step(&in);
	return 0;
}

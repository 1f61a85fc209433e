/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * The memif 2.0 wire: what two processes exchange over the control socket and find in shared memory.
 *
 * All integers are in host byte order: both ends run on one machine. Nothing here depends on DPDK or
 * on the compiler's options, so sizes and offsets are asserted beside each structure.
 */

#ifndef MEMIF_ABI_H
#define MEMIF_ABI_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

/** Protocol version 2.0: major in the high byte. */
#define MIF_VERSION ((uint16_t)(2 << 8))

/** First word of every ring. */
#define MIF_RING_COOKIE UINT32_C(0x3E31F20)

/** Line size of the ring layout. Part of the wire, not a property of the build. */
#define MIF_LINE_SIZE 64

#define MIF_NAME_LEN 32	  /**< bytes of a name in HELLO, INIT, CONNECT and CONNECTED */
#define MIF_SECRET_LEN 24 /**< bytes of a secret; may be used to the last one */
#define MIF_REASON_LEN 96 /**< bytes of the text of DISCONNECT */

#define MIF_LOG2_RING_MIN 1 /**< two slots */
#define MIF_LOG2_RING_MAX \
	14 /**< 16-bit indices cannot tell a full ring of 2^16 from an empty one */

#define MIF_REGIONS_MAX 256 /**< region indices are 16 bits, but every peer stops at 256 */
#define MIF_RINGS_MAX 255   /**< rings of one direction */

/** Type of a message: the first 16 bits. */
enum mif_msg_type {
	MIF_MSG_NONE = 0,
	MIF_MSG_ACK = 1,
	MIF_MSG_HELLO = 2,
	MIF_MSG_INIT = 3,
	MIF_MSG_ADD_REGION = 4,
	MIF_MSG_ADD_RING = 5,
	MIF_MSG_CONNECT = 6,
	MIF_MSG_CONNECTED = 7,
	MIF_MSG_DISCONNECT = 8,
};

#define MIF_MSG_TYPES 9 /**< number of message types, NONE included */

/** What a packet on the wire starts with; INIT.mode. */
enum mif_mode {
	MIF_MODE_ETHERNET = 0,
	MIF_MODE_IP = 1,
	MIF_MODE_PUNT_INJECT = 2, /**< no implementation carries packets in this mode */
};

#define MIF_RING_FLAG_C2S ((uint16_t)1) /**< ADD_RING.flags: client to server */

/** Server's greeting; each max_* is the highest index it takes, that is its count less one. */
struct mif_msg_hello {
	uint8_t name[MIF_NAME_LEN];
	uint16_t min_version;
	uint16_t max_version;
	uint16_t max_region;
	uint16_t max_s2c_ring;
	uint16_t max_c2s_ring;
	uint8_t max_log2_ring_size;
} __attribute__((packed));

/** Client's answer: which interface it wants. */
struct mif_msg_init {
	uint16_t version;
	uint32_t id;
	uint8_t mode;
	uint8_t secret[MIF_SECRET_LEN];
	uint8_t name[MIF_NAME_LEN];
} __attribute__((packed));

/** One region of shared memory; its file travels beside the message. */
struct mif_msg_add_region {
	uint16_t index;
	uint64_t size; /**< bytes */
} __attribute__((packed));

/** One ring; its eventfd travels beside the message. */
struct mif_msg_add_ring {
	uint16_t flags;
	uint16_t index;
	uint16_t region;
	uint32_t offset; /**< bytes from the start of the region */
	uint8_t log2_ring_size;
	uint16_t private_hdr_size;
} __attribute__((packed));

/** CONNECT and CONNECTED: the sender's name of its interface. */
struct mif_msg_connect {
	uint8_t if_name[MIF_NAME_LEN];
} __attribute__((packed));

/** Why the sender leaves. */
struct mif_msg_disconnect {
	uint32_t code;
	uint8_t string[MIF_REASON_LEN];
} __attribute__((packed));

/** Any message: 128 bytes on the wire, what is not used is zero. */
struct mif_msg {
	uint16_t type;
	union {
		struct mif_msg_hello hello;
		struct mif_msg_init init;
		struct mif_msg_add_region add_region;
		struct mif_msg_add_ring add_ring;
		struct mif_msg_connect connect;
		struct mif_msg_connect connected;
		struct mif_msg_disconnect disconnect;
		uint8_t body[126];
	};
} __attribute__((packed));

#define MIF_MSG_SIZE 128 /**< bytes of every message on the wire */

static_assert(sizeof(struct mif_msg) == MIF_MSG_SIZE, "a message is 128 bytes");
static_assert(sizeof(struct mif_msg_hello) == 43, "HELLO is packed");
static_assert(sizeof(struct mif_msg_init) == 63, "INIT is packed");
static_assert(sizeof(struct mif_msg_add_region) == 10, "ADD_REGION is packed");
static_assert(sizeof(struct mif_msg_add_ring) == 13, "ADD_RING is packed");
static_assert(sizeof(struct mif_msg_disconnect) == 100, "DISCONNECT is packed");
static_assert(offsetof(struct mif_msg, init.id) == 4, "INIT.id");
static_assert(offsetof(struct mif_msg, init.secret) == 9, "INIT.secret");
static_assert(offsetof(struct mif_msg, hello.max_log2_ring_size) == 44, "HELLO.max_log2_ring_size");
static_assert(offsetof(struct mif_msg, add_region.size) == 4, "ADD_REGION.size");
static_assert(offsetof(struct mif_msg, add_ring.offset) == 8, "ADD_RING.offset");
static_assert(offsetof(struct mif_msg, add_ring.private_hdr_size) == 13, "private_hdr_size");

#define MIF_DESC_NEXT ((uint16_t)1) /**< the packet goes on in the next descriptor */

/** One slot of a ring: where a buffer lies and how much of it is used. */
struct mif_desc {
	uint16_t flags;
	uint16_t region;
	uint32_t length; /**< bytes of packet data, or of room in a posted empty buffer */
	uint32_t offset; /**< bytes from the start of the region */
	uint32_t metadata;
} __attribute__((aligned(16)));

static_assert(sizeof(struct mif_desc) == 16, "a descriptor is 16 bytes");
static_assert(offsetof(struct mif_desc, offset) == 8, "descriptor.offset");

#define MIF_RING_MASK_INT ((uint16_t)1) /**< ring flags: the receiver wants no interrupts */

/** Where a ring may start: peers with tiny rings put them one behind the other, 160 bytes apart. */
#define MIF_RING_ALIGN 16

/**
 * A ring in shared memory, followed by its descriptors.
 *
 * The client writes head, the server writes tail, in both directions; each free-running, masked on
 * use. The receiver of the direction writes flags.
 */
struct mif_ring {
	uint32_t cookie;
	uint16_t flags;
	uint16_t head;
	uint8_t pad0[MIF_LINE_SIZE - 8];
	uint16_t tail;
	uint8_t pad1[MIF_LINE_SIZE - 2];
	struct mif_desc desc[];
};

static_assert(_Alignof(struct mif_ring) == MIF_RING_ALIGN, "a ring may start at any 16 bytes");
static_assert(offsetof(struct mif_ring, flags) == 4, "ring.flags");
static_assert(offsetof(struct mif_ring, head) == 6, "ring.head");
static_assert(offsetof(struct mif_ring, tail) == MIF_LINE_SIZE, "ring.tail");
static_assert(offsetof(struct mif_ring, desc) == 2 * MIF_LINE_SIZE, "ring.desc");

/** Bytes that a ring of 2^log2 slots takes. */
static inline uint64_t
mif_ring_bytes(uint8_t log2_ring_size)
{
	return sizeof(struct mif_ring) + ((uint64_t)sizeof(struct mif_desc) << log2_ring_size);
}

/** Direction of a ring. */
enum mif_dir {
	MIF_C2S = 0,
	MIF_S2C = 1,
};

#define MIF_DIRS 2

/** Which end of the protocol. The client creates the memory, the server listens and maps it. */
enum mif_role {
	MIF_CLIENT = 0,
	MIF_SERVER = 1,
};

#endif /* MEMIF_ABI_H */

/* SPDX-License-Identifier: BSD-3-Clause */

#include <string.h>

#include "memif_msg.h"

#define ROLE(role) ((uint8_t)(1u << (role)))
#define IN(state) ((uint16_t)(1u << MIF_STATE_##state))

/* An open connection takes DISCONNECT in every state, its own driver's turns included. */
#define IN_ANY ((uint16_t)(((1u << MIF_STATES) - 1) & ~(1u << MIF_STATE_CLOSED)))

static const struct mif_msg_rule rules[MIF_MSG_TYPES] = {
	[MIF_MSG_ACK] = {
		.name = "ACK",
		.senders = ROLE(MIF_CLIENT) | ROLE(MIF_SERVER),
		.rx_states = IN(WAIT_INIT_ACK) | IN(ADD_REGION) | IN(ADD_RING),
	},
	[MIF_MSG_HELLO] = {
		.name = "HELLO",
		.senders = ROLE(MIF_SERVER),
		.rx_states = IN(WAIT_HELLO),
	},
	[MIF_MSG_INIT] = {
		.name = "INIT",
		.senders = ROLE(MIF_CLIENT),
		.rx_states = IN(WAIT_INIT),
	},
	[MIF_MSG_ADD_REGION] = {
		.name = "ADD_REGION",
		.senders = ROLE(MIF_CLIENT),
		.fds = 1,
		.rx_states = IN(SETUP),
	},
	[MIF_MSG_ADD_RING] = {
		.name = "ADD_RING",
		.senders = ROLE(MIF_CLIENT),
		.fds = 1,
		.rx_states = IN(SETUP),
	},
	[MIF_MSG_CONNECT] = {
		.name = "CONNECT",
		.senders = ROLE(MIF_CLIENT),
		.rx_states = IN(SETUP),
	},
	[MIF_MSG_CONNECTED] = {
		.name = "CONNECTED",
		.senders = ROLE(MIF_SERVER),
		.rx_states = IN(WAIT_CONNECTED),
	},
	[MIF_MSG_DISCONNECT] = {
		.name = "DISCONNECT",
		.senders = ROLE(MIF_CLIENT) | ROLE(MIF_SERVER),
		.rx_states = IN_ANY,
	},
};

static const char *const state_names[MIF_STATES] = {
	[MIF_STATE_CLOSED] = "closed",
	[MIF_STATE_WAIT_HELLO] = "waiting for HELLO",
	[MIF_STATE_BUILD] = "building memory",
	[MIF_STATE_WAIT_INIT_ACK] = "waiting for ACK of INIT",
	[MIF_STATE_ADD_REGION] = "waiting for ACK of ADD_REGION",
	[MIF_STATE_ADD_RING] = "waiting for ACK of ADD_RING",
	[MIF_STATE_WAIT_CONNECTED] = "waiting for CONNECTED",
	[MIF_STATE_WAIT_INIT] = "waiting for INIT",
	[MIF_STATE_BIND] = "looking for the port",
	[MIF_STATE_SETUP] = "taking regions and rings",
	[MIF_STATE_UP] = "up",
};

const struct mif_msg_rule *
mif_msg_rule(uint16_t type)
{
	if (type >= MIF_MSG_TYPES || rules[type].name == NULL)
		return NULL;
	return &rules[type];
}

const char *
mif_msg_name(uint16_t type)
{
	const struct mif_msg_rule *rule = mif_msg_rule(type);

	return rule == NULL ? "unknown" : rule->name;
}

const char *
mif_state_name(enum mif_state state)
{
	return (unsigned int)state < MIF_STATES ? state_names[state] : "unknown";
}

const char *
mif_msg_check(enum mif_role receiver, enum mif_state state, const struct mif_msg *msg,
		unsigned int fds)
{
	const struct mif_msg_rule *rule = mif_msg_rule(msg->type);
	enum mif_role sender = receiver == MIF_CLIENT ? MIF_SERVER : MIF_CLIENT;

	if (rule == NULL)
		return "unknown message type";
	if ((rule->senders & ROLE(sender)) == 0)
		return "message of the other role";
	if ((rule->rx_states & (1u << state)) == 0)
		return "message out of order";
	if (fds < rule->fds)
		return "file descriptor missing";
	if (fds > rule->fds)
		return "unexpected file descriptor";
	return NULL;
}

void
mif_msg_get_string(char *to, size_t size, const uint8_t *from, size_t max)
{
	size_t i;

	for (i = 0; i < max && i + 1 < size && from[i] != '\0'; i++)
		to[i] = from[i] >= 0x20 && from[i] < 0x7f ? (char)from[i] : '?';
	to[i] = '\0';
}

void
mif_msg_put_string(uint8_t *to, size_t max, const char *from)
{
	size_t length = strnlen(from, max - 1);

	memset(to, 0, max);
	memcpy(to, from, length);
}

static struct mif_msg
message(enum mif_msg_type type)
{
	struct mif_msg msg;

	memset(&msg, 0, sizeof(msg));
	msg.type = (uint16_t)type;
	return msg;
}

struct mif_msg
mif_msg_ack(void)
{
	return message(MIF_MSG_ACK);
}

static uint16_t
highest_index(uint16_t count)
{
	return count == 0 ? 0 : (uint16_t)(count - 1);
}

struct mif_msg
mif_msg_hello(const char *name, const struct mif_limits *limits)
{
	struct mif_msg msg = message(MIF_MSG_HELLO);

	mif_msg_put_string(msg.hello.name, sizeof(msg.hello.name), name);
	msg.hello.min_version = MIF_VERSION;
	msg.hello.max_version = MIF_VERSION;
	msg.hello.max_region = highest_index(limits->regions);
	msg.hello.max_s2c_ring = highest_index(limits->rings[MIF_S2C]);
	msg.hello.max_c2s_ring = highest_index(limits->rings[MIF_C2S]);
	msg.hello.max_log2_ring_size = limits->log2_ring_size;
	return msg;
}

struct mif_msg
mif_msg_init(uint32_t id, uint8_t mode, const uint8_t secret[MIF_SECRET_LEN], const char *name)
{
	struct mif_msg msg = message(MIF_MSG_INIT);

	msg.init.version = MIF_VERSION;
	msg.init.id = id;
	msg.init.mode = mode;
	memcpy(msg.init.secret, secret, MIF_SECRET_LEN);
	mif_msg_put_string(msg.init.name, sizeof(msg.init.name), name);
	return msg;
}

struct mif_msg
mif_msg_add_region(uint16_t index, uint64_t size)
{
	struct mif_msg msg = message(MIF_MSG_ADD_REGION);

	msg.add_region.index = index;
	msg.add_region.size = size;
	return msg;
}

struct mif_msg
mif_msg_add_ring(enum mif_dir dir, uint16_t index, uint16_t region, uint32_t offset,
		uint8_t log2_ring_size)
{
	struct mif_msg msg = message(MIF_MSG_ADD_RING);

	msg.add_ring.flags = dir == MIF_C2S ? MIF_RING_FLAG_C2S : 0;
	msg.add_ring.index = index;
	msg.add_ring.region = region;
	msg.add_ring.offset = offset;
	msg.add_ring.log2_ring_size = log2_ring_size;
	return msg;
}

struct mif_msg
mif_msg_connect(const char *if_name)
{
	struct mif_msg msg = message(MIF_MSG_CONNECT);

	mif_msg_put_string(msg.connect.if_name, sizeof(msg.connect.if_name), if_name);
	return msg;
}

struct mif_msg
mif_msg_connected(const char *if_name)
{
	struct mif_msg msg = message(MIF_MSG_CONNECTED);

	mif_msg_put_string(msg.connected.if_name, sizeof(msg.connected.if_name), if_name);
	return msg;
}

struct mif_msg
mif_msg_disconnect(const char *reason)
{
	struct mif_msg msg = message(MIF_MSG_DISCONNECT);

	mif_msg_put_string(msg.disconnect.string, sizeof(msg.disconnect.string), reason);
	return msg;
}

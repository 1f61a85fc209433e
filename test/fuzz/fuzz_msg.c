/* SPDX-License-Identifier: BSD-3-Clause */

/* The message table, and the strings in messages: any 128 bytes, in any state, with any fds. */

#include "fuzz.h"
#include "memif_msg.h"

/* Who sends what, from the protocol's description and not from the driver's table. */
struct known {
	const char *name;
	bool client, server; /* may send it */
	unsigned int fds;
};

static const struct known known[MIF_MSG_TYPES] = {
	[MIF_MSG_ACK] = { "ACK", true, true, 0 },
	[MIF_MSG_HELLO] = { "HELLO", false, true, 0 },
	[MIF_MSG_INIT] = { "INIT", true, false, 0 },
	[MIF_MSG_ADD_REGION] = { "ADD_REGION", true, false, 1 },
	[MIF_MSG_ADD_RING] = { "ADD_RING", true, false, 1 },
	[MIF_MSG_CONNECT] = { "CONNECT", true, false, 0 },
	[MIF_MSG_CONNECTED] = { "CONNECTED", false, true, 0 },
	[MIF_MSG_DISCONNECT] = { "DISCONNECT", true, true, 0 },
};

static void
check_rule(enum mif_role receiver, enum mif_state state, const struct mif_msg *msg,
		unsigned int fds)
{
	const struct known *type = msg->type < MIF_MSG_TYPES ? &known[msg->type] : NULL;
	const char *refusal = mif_msg_check(receiver, state, msg, fds);

	FUZZ_CHECK(mif_state_name(state) != NULL, "state %d", state);
	if (type == NULL || type->name == NULL) {
		FUZZ_CHECK(refusal != NULL, "type %u is taken", msg->type);
		FUZZ_CHECK(mif_msg_rule(msg->type) == NULL, "type %u has a rule", msg->type);
		FUZZ_CHECK(strcmp(mif_msg_name(msg->type), "unknown") == 0, "%u", msg->type);
		return;
	}
	FUZZ_CHECK(strcmp(mif_msg_name(msg->type), type->name) == 0, "%u", msg->type);
	if (refusal != NULL)
		return;
	FUZZ_CHECK(state != MIF_STATE_CLOSED, "%s on a closed connection", type->name);
	FUZZ_CHECK(receiver == MIF_CLIENT ? type->server : type->client, "%s of the wrong role",
			type->name);
	FUZZ_CHECK(fds == type->fds, "%s with %u fds", type->name, fds);
}

/* The message's array and the target are blocks of their own, so ASan sees one byte too many. */
static void
check_get_string(const uint8_t *bytes, size_t max, size_t size)
{
	uint8_t *from = malloc(max);
	char *to = malloc(size);
	size_t end;

	memcpy(from, bytes, max);
	mif_msg_get_string(to, size, from, max);
	end = strnlen(to, size);
	FUZZ_CHECK(end < size && end <= max, "%zu bytes of %zu into %zu", end, max, size);
	FUZZ_CHECK(end + 1 == size || end == max || from[end] == '\0', "cut at %zu", end);
	for (size_t i = 0; i < end; i++) {
		FUZZ_CHECK(to[i] >= ' ' && to[i] <= '~', "byte %d", to[i]);
		FUZZ_CHECK(to[i] == (char)from[i] || to[i] == '?', "byte %zu differs", i);
	}
	free(from);
	free(to);
}

static void
check_put_string(const uint8_t *bytes, size_t length, size_t max)
{
	char *from = malloc(length + 1);
	uint8_t *to = malloc(max);
	size_t end;

	memcpy(from, bytes, length);
	from[length] = '\0';
	length = strlen(from);
	mif_msg_put_string(to, max, from);
	end = strnlen((char *)to, max);
	FUZZ_CHECK(end == (length < max - 1 ? length : max - 1), "%zu of %zu", end, length);
	FUZZ_CHECK(memcmp(to, from, end) == 0, "other bytes");
	for (size_t i = end; i < max; i++)
		FUZZ_CHECK(to[i] == 0, "byte %zu behind the string", i);
	free(from);
	free(to);
}

/* What we build, the other role takes in some state, with the right fds and with no others. */
static void
check_built(struct mif_msg msg)
{
	const struct known *type = &known[msg.type];
	bool taken = false;

	for (int state = 0; state < MIF_STATES; state++) {
		for (int role = 0; role < 2; role++)
			taken |= mif_msg_check(role, state, &msg, type->fds) == NULL;
	}
	FUZZ_CHECK(taken, "nobody takes a %s of ours", type->name);
}

static void
check_builders(struct fuzz_input *in)
{
	struct mif_limits limits = { .regions = fuzz_u16(in), .log2_ring_size = fuzz_u8(in) };
	char text[160];
	struct mif_msg msg;

	limits.rings[MIF_C2S] = fuzz_u16(in);
	limits.rings[MIF_S2C] = fuzz_u16(in);
	fuzz_bytes(in, text, sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	msg = mif_msg_hello(text, &limits);
	for (int dir = 0; dir < MIF_DIRS; dir++) {
		uint16_t highest = dir == MIF_C2S ? msg.hello.max_c2s_ring : msg.hello.max_s2c_ring;

		FUZZ_CHECK(limits.rings[dir] == 0 || highest == limits.rings[dir] - 1, "%u rings",
				limits.rings[dir]);
	}
	check_built(msg);
	check_built(mif_msg_ack());
	check_built(mif_msg_init(fuzz_u32(in), fuzz_u8(in), (const uint8_t *)text, text));
	check_built(mif_msg_add_region(fuzz_u16(in), fuzz_u64(in)));
	check_built(mif_msg_add_ring(fuzz_u8(in) & 1, fuzz_u16(in), fuzz_u16(in), fuzz_u32(in),
			fuzz_u8(in)));
	check_built(mif_msg_connect(text));
	check_built(mif_msg_connected(text));
	check_built(mif_msg_disconnect(text));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	enum mif_role role = fuzz_u8(&in) & 1;
	enum mif_state state = fuzz_range(&in, 0, MIF_STATES - 1);
	unsigned int fds = fuzz_range(&in, 0, 3);
	size_t max = fuzz_range(&in, 1, 126);
	size_t room = fuzz_range(&in, 1, 126);
	struct mif_msg msg;

	fuzz_bytes(&in, &msg, sizeof(msg));
	check_rule(role, state, &msg, fds);
	check_get_string(msg.body, max, room);
	check_put_string(msg.body, max, room);
	check_builders(&in);
	return 0;
}

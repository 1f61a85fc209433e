/* SPDX-License-Identifier: BSD-3-Clause */

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <rte_common.h>
#include <rte_kvargs.h>

#include "memif_devargs.h"
#include "memif_lag.h"
#include "memif_log.h"

#define DEFAULT_SOCKET "/tmp/memif.sock"
#define DEFAULT_BUFFER_SIZE 2048
#define DEFAULT_LOG2_RING_SIZE 10
#define DEFAULT_TX_COPYBREAK 64 /* one line; measured, see doc/performance */

/* What is known only when all options have been read. */
struct parser {
	struct mif_devargs *args;
	const char *who;
	const char *socket; /* NULL for the default */
	bool abstract;	    /* socket-abstract */
	bool mac_given;
};

/* Where an option means something. */
enum scope {
	ANYWHERE,
	SERVER,
	SERVER_FILE, /* a server with a socket file */
	SHARING,     /* a client with zero-copy */
};

/* An option: returns 0, or -EINVAL for a bad value, or -ENOTSUP. */
struct option {
	const char *name;
	const char *values; /* for the error message */
	int (*parse)(struct parser *parser, const char *value);
	enum scope scope;
};

static int
parse_number(const char *value, int base, uint64_t min, uint64_t max, uint64_t *number)
{
	char *end;

	/* strtoull() would also take a sign and leading space. */
	if (!isxdigit((unsigned char)value[0]))
		return -EINVAL;
	errno = 0;
	*number = strtoull(value, &end, base);
	return errno != 0 || *end != '\0' || *number < min || *number > max ? -EINVAL : 0;
}

static int
parse_u16(const char *value, uint16_t min, uint16_t max, uint16_t *to)
{
	uint64_t number;

	if (parse_number(value, 10, min, max, &number) != 0)
		return -EINVAL;
	*to = (uint16_t)number;
	return 0;
}

static int
parse_word(const char *value, const char *const *words, int count)
{
	for (int i = 0; i < count; i++) {
		if (strcmp(value, words[i]) == 0)
			return i;
	}
	return -EINVAL;
}

static int
parse_yes_no(const char *value)
{
	static const char *const words[] = { "no", "yes" };

	return parse_word(value, words, RTE_DIM(words));
}

static int
parse_id(struct parser *parser, const char *value)
{
	uint64_t number;

	if (parse_number(value, 10, 0, UINT32_MAX, &number) != 0)
		return -EINVAL;
	parser->args->id = (uint32_t)number;
	return 0;
}

static int
parse_role(struct parser *parser, const char *value)
{
	static const char *const words[] = { "client", "server", "slave", "master" };
	int word = parse_word(value, words, RTE_DIM(words));

	if (word < 0)
		return word;
	if (word >= 2)
		MIF_LOG(WARNING, parser->who, "role=%s is deprecated: use role=%s", value,
				words[word - 2]);
	parser->args->role = word % 2 == 0 ? MIF_CLIENT : MIF_SERVER;
	return 0;
}

static int
parse_socket(struct parser *parser, const char *value)
{
	parser->socket = value;
	return 0;
}

static int
parse_abstract(struct parser *parser, const char *value)
{
	int yes = parse_yes_no(value);

	parser->abstract = yes == 1;
	return yes < 0 ? yes : 0;
}

static int
parse_uid(struct parser *parser, const char *value)
{
	uint64_t number;

	/* The highest value means "leave it" to chown(). */
	if (parse_number(value, 10, 0, UINT32_MAX - 1, &number) != 0)
		return -EINVAL;
	parser->args->access.uid = (uid_t)number;
	return 0;
}

static int
parse_gid(struct parser *parser, const char *value)
{
	uint64_t number;

	if (parse_number(value, 10, 0, UINT32_MAX - 1, &number) != 0)
		return -EINVAL;
	parser->args->access.gid = (gid_t)number;
	return 0;
}

static int
parse_mode_bits(struct parser *parser, const char *value)
{
	uint64_t number;

	if (parse_number(value, 8, 0, 0777, &number) != 0)
		return -EINVAL;
	parser->args->access.mode = (mode_t)number;
	return 0;
}

static int
parse_bsize(struct parser *parser, const char *value)
{
	return parse_u16(value, 1, UINT16_MAX, &parser->args->buffer_size);
}

static int
parse_rsize(struct parser *parser, const char *value)
{
	uint64_t number;

	if (parse_number(value, 10, MIF_LOG2_RING_MIN, MIF_LOG2_RING_MAX, &number) != 0)
		return -EINVAL;
	parser->args->log2_ring_size = (uint8_t)number;
	return 0;
}

static int
parse_rx_lag(struct parser *parser, const char *value)
{
	return parse_u16(value, 0, MIF_RX_LAG_MAX, &parser->args->rx_lag);
}

static int
parse_tx_copybreak(struct parser *parser, const char *value)
{
	return parse_u16(value, 0, UINT16_MAX, &parser->args->tx_copybreak);
}

static int
parse_mac(struct parser *parser, const char *value)
{
	if (rte_ether_unformat_addr(value, &parser->args->mac) != 0 ||
			!rte_is_valid_assigned_ether_addr(&parser->args->mac))
		return -EINVAL;
	parser->mac_given = true;
	return 0;
}

static int
parse_secret(struct parser *parser, const char *value)
{
	size_t length = strlen(value);

	if (length < 1 || length > MIF_SECRET_LEN)
		return -EINVAL;
	memcpy(parser->args->secret, value, length);
	return 0;
}

static int
parse_zero_copy(struct parser *parser, const char *value)
{
	int yes = parse_yes_no(value);

	parser->args->zero_copy = yes == 1;
	return yes < 0 ? yes : 0;
}

static int
parse_peer_memory(struct parser *parser, const char *value)
{
	static const char *const words[] = { "any", "sealed" };
	int word = parse_word(value, words, RTE_DIM(words));

	parser->args->sealed_only = word == 1;
	return word < 0 ? word : 0;
}

static int
parse_mode(struct parser *parser, const char *value)
{
	static const char *const words[] = { "ethernet", "ip" };
	int word = parse_word(value, words, RTE_DIM(words));

	if (word < 0)
		return word;
	parser->args->mode = word == 1 ? MIF_MODE_IP : MIF_MODE_ETHERNET;
	return 0;
}

static int
parse_ids(struct mif_allowed *allowed, const char *value)
{
	char text[256];
	char *rest = text;
	const char *word;
	uint64_t number;

	if (strlen(value) >= sizeof(text))
		return -EINVAL;
	strcpy(text, value);
	while ((word = strsep(&rest, ":")) != NULL) {
		if (allowed->count == MIF_ALLOWED_MAX ||
				parse_number(word, 10, 0, UINT32_MAX - 1, &number) != 0)
			return -EINVAL;
		allowed->ids[allowed->count++] = (uint32_t)number;
	}
	return 0;
}

static int
parse_peer_uid(struct parser *parser, const char *value)
{
	return parse_ids(&parser->args->allowed_uids, value);
}

static int
parse_peer_gid(struct parser *parser, const char *value)
{
	return parse_ids(&parser->args->allowed_gids, value);
}

static const struct option options[] = {
	{ "id", "0 to 4294967295", parse_id, ANYWHERE },
	{ "role", "client or server", parse_role, ANYWHERE },
	{ "socket", "a path or @name of at most 107 bytes", parse_socket, ANYWHERE },
	{ "socket-abstract", "yes or no", parse_abstract, ANYWHERE },
	{ "owner-uid", "a user id", parse_uid, SERVER_FILE },
	{ "owner-gid", "a group id", parse_gid, SERVER_FILE },
	{ "socket-mode", "octal permission bits, 0 to 777", parse_mode_bits, SERVER_FILE },
	{ "peer-uid", "up to 16 user ids with colons between", parse_peer_uid, SERVER },
	{ "peer-gid", "up to 16 group ids with colons between", parse_peer_gid, SERVER },
	{ "bsize", "1 to 65535 bytes", parse_bsize, ANYWHERE },
	{ "rsize", "1 to 14, the log2 of the ring size", parse_rsize, ANYWHERE },
	{ "rx-lag", "0 to 4096 slots", parse_rx_lag, ANYWHERE },
	{ "tx-copybreak", "0 to 65535 bytes", parse_tx_copybreak, SHARING },
	{ "mac", "a unicast address such as 02:00:00:00:00:01", parse_mac, ANYWHERE },
	{ "secret", "1 to 24 bytes", parse_secret, ANYWHERE },
	{ "zero-copy", "yes or no", parse_zero_copy, ANYWHERE },
	{ "peer-memory", "any or sealed", parse_peer_memory, SERVER },
	{ "mode", "ethernet or ip", parse_mode, ANYWHERE },
};

static const struct option *
find_option(const char *name)
{
	for (unsigned int i = 0; i < RTE_DIM(options); i++) {
		if (strcmp(name, options[i].name) == 0)
			return &options[i];
	}
	return NULL;
}

static int
parse_pair(struct parser *parser, const struct rte_kvargs_pair *pair)
{
	const struct option *option = find_option(pair->key);
	bool secret = strcmp(pair->key, "secret") == 0;
	int ret;

	if (option == NULL) {
		MIF_LOG(ERR, parser->who, "unknown option '%s'; there are: %s", pair->key,
				MIF_DEVARGS_HELP);
		return -EINVAL;
	}
	if (pair->value == NULL || pair->value[0] == '\0') {
		MIF_LOG(ERR, parser->who, "option '%s' has no value; it takes %s", pair->key,
				option->values);
		return -EINVAL;
	}
	ret = option->parse(parser, pair->value);
	if (ret == -ENOTSUP)
		MIF_LOG(ERR, parser->who, "option %s=%s is not supported yet", pair->key,
				pair->value);
	else if (ret != 0)
		MIF_LOG(ERR, parser->who, "bad value '%s' of option '%s'; it takes %s",
				secret ? "(hidden)" : pair->value, pair->key, option->values);
	return ret;
}

static int
parse_pairs(struct parser *parser, const struct rte_kvargs *list)
{
	int ret;

	for (unsigned int i = 0; i < list->count; i++) {
		for (unsigned int j = 0; j < i; j++) {
			if (strcmp(list->pairs[i].key, list->pairs[j].key) != 0)
				continue;
			MIF_LOG(ERR, parser->who, "option '%s' is given twice", list->pairs[i].key);
			return -EINVAL;
		}
		ret = parse_pair(parser, &list->pairs[i]);
		if (ret != 0)
			return ret;
	}
	return 0;
}

static int
resolve_socket(struct parser *parser, bool abstract_given)
{
	const char *name = parser->socket == NULL ? DEFAULT_SOCKET : parser->socket;
	int ret;

	if (name[0] == '@') {
		if (abstract_given && !parser->abstract) {
			MIF_LOG(ERR, parser->who,
					"socket=%s is an abstract name, socket-abstract=no says it is not: "
					"leave one out",
					name);
			return -EINVAL;
		}
		parser->abstract = true;
		name++;
	}
	ret = mif_sockaddr_init(&parser->args->addr, name, parser->abstract);
	if (ret == -ENAMETOOLONG)
		MIF_LOG(ERR, parser->who, "option 'socket' has %zu bytes; at most %d are possible",
				strlen(name), MIF_SOCK_NAME_MAX);
	else if (ret != 0)
		MIF_LOG(ERR, parser->who, "option 'socket' has no name");
	return ret == 0 ? 0 : -EINVAL;
}

/* Legal, and without effect: say so, as the user surely means something by it. */
static void
warn_ineffective(const struct parser *parser, const struct rte_kvargs *list)
{
	bool server = parser->args->role == MIF_SERVER;
	enum scope scope;

	for (unsigned int i = 0; i < list->count; i++) {
		scope = find_option(list->pairs[i].key)->scope;
		if (scope == SERVER && !server)
			MIF_LOG(WARNING, parser->who, "option '%s' has no effect on a client",
					list->pairs[i].key);
		if (scope == SHARING && (server || !parser->args->zero_copy))
			MIF_LOG(WARNING, parser->who,
					"option '%s' has no effect: it is for a client with zero-copy=yes",
					list->pairs[i].key);
		if (scope == SERVER_FILE && (!server || parser->abstract))
			MIF_LOG(WARNING, parser->who,
					"option '%s' has no effect: it is for a server with a socket file",
					list->pairs[i].key);
	}
}

int
mif_devargs_parse(struct mif_devargs *args, const char *who, const char *text)
{
	struct parser parser = { .args = args, .who = who, .abstract = true };
	struct rte_kvargs *list;
	int ret;

	memset(args, 0, sizeof(*args));
	args->role = MIF_CLIENT;
	args->mode = MIF_MODE_ETHERNET;
	args->access = (struct mif_sock_access){ (uid_t)-1, (gid_t)-1, (mode_t)-1 };
	args->buffer_size = DEFAULT_BUFFER_SIZE;
	args->log2_ring_size = DEFAULT_LOG2_RING_SIZE;
	args->rx_lag = MIF_LAG_DEFAULT;
	args->tx_copybreak = DEFAULT_TX_COPYBREAK;

	list = rte_kvargs_parse(text == NULL ? "" : text, NULL);
	if (list == NULL) {
		MIF_LOG(ERR, who, "options cannot be read: expected name=value,name=value,...");
		return -EINVAL;
	}
	ret = parse_pairs(&parser, list);
	if (ret == 0)
		ret = resolve_socket(&parser, rte_kvargs_count(list, "socket-abstract") != 0);
	if (ret == 0) {
		warn_ineffective(&parser, list);
		if (!parser.mac_given)
			rte_eth_random_addr(args->mac.addr_bytes);
	}
	rte_kvargs_free(list);
	return ret;
}

static bool
contains(const struct mif_allowed *allowed, uint32_t id)
{
	for (unsigned int i = 0; i < allowed->count; i++) {
		if (allowed->ids[i] == id)
			return true;
	}
	return false;
}

bool
mif_devargs_allow(const struct mif_devargs *args, uid_t uid, gid_t gid)
{
	if (args->allowed_uids.count == 0 && args->allowed_gids.count == 0)
		return true;
	return contains(&args->allowed_uids, uid) || contains(&args->allowed_gids, gid);
}

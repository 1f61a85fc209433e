/* SPDX-License-Identifier: BSD-3-Clause */

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"

/* Longest word of a list. */
#define WORD CONFIG_PATH

static const char *const roles[] = { "client", "server", NULL };

static const char *const kernel_drivers[] = {
	[KERNEL_AUTO] = "auto",
	[KERNEL_VIRTIO] = "virtio",
	[KERNEL_TAP] = "tap",
	[KERNEL_NONE] = "none",
	NULL,
};

static struct {
	struct config config;
	uint64_t role, kernel;
	const char *sockets, *protocols, *ports, *address;
} given = {
	.config = {
		.memifs = 1,
		.memif_queues = 1,
		.rsize = 10,
		.bsize = 2048,
		.kernel_name = "fwd0",
		.descriptors = 1024,
		.flush_us = 50,
		.interval = 1,
	},
	.sockets = "/tmp/memif.sock",
	.protocols = "udp",
	.ports = "all",
};

const struct option_spec config_options[] = {
	TEXT_OPTION("net", &given.config.net,
			"network port, by its ethdev name; without, the only one that EAL has made"),
	NUMBER_OPTION("memifs", &given.config.memifs, 1, STEER_PORTS,
			"memif ports, with ids from 0 on, on each socket"),
	CHOICE_OPTION("role", &given.role, roles, "of the memif ports: client or server"),
	TEXT_OPTION("socket", &given.sockets,
			"of the memif ports: a file, or @NAME for an abstract one; or several with "
			"commas between, on which the ports take turns"),
	NUMBER_OPTION("rsize", &given.config.rsize, 1, 14, "log2 of the memif rings (client)"),
	NUMBER_OPTION("bsize", &given.config.bsize, 1, 65535, "bytes of a memif buffer (client)"),
	TEXT_OPTION("memif-args", &given.config.memif_args,
			"further options of net_memif, as secret=x,socket-mode=660"),
	TEXT_OPTION("protocols", &given.protocols,
			"for memif: udp, tcp, sctp, icmp, icmp6, gre, esp or numbers"),
	TEXT_OPTION("ports", &given.ports,
			"for memif: destination ports, as 53,5000-6000; all also takes fragments"),
	CHOICE_OPTION("kernel", &given.kernel, kernel_drivers,
			"what the rest goes to: auto, virtio (vhost-net), tap, or none"),
	TEXT_OPTION("kernel-name", &given.config.kernel_name, "name of the kernel's interface"),
	TEXT_OPTION("kernel-address", &given.address,
			"its address and mask, as 10.0.0.1/24; without, it gets none"),
	NUMBER_OPTION("queues", &given.config.queues, 0, 64,
			"pairs of queues of the network's port; 0: one per core"),
	NUMBER_OPTION("memif-queues", &given.config.memif_queues, 1, 64,
			"of each memif port; a Go program takes no more than it was made with"),
	NUMBER_OPTION("descriptors", &given.config.descriptors, 32, 32768,
			"of a queue of the network"),
	NUMBER_OPTION("mbufs", &given.config.mbufs, 0, UINT32_MAX / 2,
			"packet buffers; 0: enough for all rings"),
	NUMBER_OPTION("flush", &given.config.flush_us, 0, 1000000,
			"microseconds that a packet waits at most for its burst to fill"),
	NUMBER_OPTION("sleep", &given.config.sleep_us, 0, 1000000,
			"microseconds that an idle core sleeps between looks; 0: it polls on"),
	SECONDS_OPTION("interval", &given.config.interval, "between two tables; 0: none"),
	END_OF_OPTIONS,
};

static int
refuse(const char *option, const char *text, const char *wanted)
{
	fprintf(stderr, "%s: --%s %s: wants %s\n", program_name, option, text, wanted);
	return -EINVAL;
}

/* The next word of a list, in word; 0 at its end, 1, or -EINVAL. */
static int
next_word(const char **list, char word[WORD])
{
	size_t length = strcspn(*list, ",");

	if (**list == '\0')
		return 0;
	if (length == 0 || length >= WORD)
		return -EINVAL;
	memcpy(word, *list, length);
	word[length] = '\0';
	*list += length;
	if (**list == ',' && *++*list == '\0')
		return -EINVAL;
	return 1;
}

static int
read_number(const char *text, const char **end, unsigned long high, unsigned long *number)
{
	char *rest;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	*number = strtoul(text, &rest, 10);
	*end = rest;
	return *number <= high ? 0 : -EINVAL;
}

static int
read_protocol(const char *word, unsigned long *protocol)
{
	static const struct {
		const char *name;
		uint8_t protocol;
	} names[] = {
		{ "udp", IPPROTO_UDP },
		{ "tcp", IPPROTO_TCP },
		{ "sctp", IPPROTO_SCTP },
		{ "icmp", IPPROTO_ICMP },
		{ "icmp6", IPPROTO_ICMPV6 },
		{ "gre", IPPROTO_GRE },
		{ "esp", IPPROTO_ESP },
	};
	const char *end;

	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(word, names[i].name) != 0)
			continue;
		*protocol = names[i].protocol;
		return 0;
	}
	return read_number(word, &end, UINT8_MAX, protocol) == 0 && *end == '\0' ? 0 : -EINVAL;
}

int
config_protocols(struct filter *filter, const char *list)
{
	unsigned long protocol;
	char word[WORD];
	int ret;

	if (*list == '\0')
		return -EINVAL;
	while ((ret = next_word(&list, word)) > 0) {
		if (read_protocol(word, &protocol) != 0)
			return -EINVAL;
		filter_add_protocol(filter, (uint8_t)protocol);
	}
	return ret;
}

static int
add_port_range(struct filter *filter, const char *word)
{
	unsigned long first, last;
	const char *end;

	if (read_number(word, &end, UINT16_MAX, &first) != 0)
		return -EINVAL;
	last = first;
	if (*end == '-' && read_number(end + 1, &end, UINT16_MAX, &last) != 0)
		return -EINVAL;
	if (*end != '\0' || last < first)
		return -EINVAL;
	for (; first <= last; first++)
		filter_add_port(filter, (uint16_t)first);
	return 0;
}

int
config_ports(struct filter *filter, const char *list)
{
	char word[WORD];
	int ret;

	filter->any_port = strcmp(list, "all") == 0;
	if (filter->any_port)
		return 0;
	if (*list == '\0')
		return -EINVAL;
	while ((ret = next_word(&list, word)) > 0)
		if (add_port_range(filter, word) != 0)
			return -EINVAL;
	return ret;
}

int
config_sockets(struct config *config, const char *list)
{
	char word[WORD];
	int ret = -EINVAL;

	config->sockets = 0;
	while (*list != '\0' && (ret = next_word(&list, word)) > 0) {
		if (config->sockets == STEER_PORTS || strchr(word, '=') != NULL)
			return -EINVAL;
		memcpy(config->socket[config->sockets++], word, sizeof(word));
	}
	return ret < 0 ? ret : 0;
}

static int
read_mask(const char *text, struct in_addr *mask)
{
	unsigned long bits;
	const char *end;
	uint32_t value;

	if (strchr(text, '.') == NULL) {
		if (read_number(text, &end, 32, &bits) != 0 || *end != '\0')
			return -EINVAL;
		mask->s_addr = htonl(bits == 0 ? 0 : UINT32_MAX << (32 - bits));
		return 0;
	}
	if (inet_pton(AF_INET, text, mask) != 1)
		return -EINVAL;
	/* Ones, then zeros. */
	value = ~ntohl(mask->s_addr);
	return (value & (value + 1)) == 0 ? 0 : -EINVAL;
}

int
config_address(const char *text, struct in_addr *address, struct in_addr *mask)
{
	size_t length = strcspn(text, "/");
	char first[INET_ADDRSTRLEN];

	if (length >= sizeof(first) || text[length] != '/')
		return -EINVAL;
	memcpy(first, text, length);
	first[length] = '\0';
	if (inet_pton(AF_INET, first, address) != 1)
		return -EINVAL;
	return read_mask(text + length + 1, mask);
}

static int
check(struct config *config)
{
	const char *name = config->kernel_name;

	if (*name == '\0' || strlen(name) >= IFNAMSIZ || strpbrk(name, "/ ,:=") != NULL)
		return refuse("kernel-name", name, "a name of up to 15 characters");
	if (config_sockets(config, given.sockets) != 0)
		return refuse("socket", given.sockets, "paths of up to 107 characters, without =");
	if (config_protocols(&config->filter, given.protocols) != 0)
		return refuse("protocols", given.protocols,
				"names or numbers with commas between, as udp,tcp,47");
	if (config_ports(&config->filter, given.ports) != 0)
		return refuse("ports", given.ports, "all, or ports as 53,5000-6000");
	if (given.address == NULL)
		return 0;
	config->has_address = true;
	if (config_address(given.address, &config->address, &config->mask) != 0)
		return refuse("kernel-address", given.address,
				"an address and mask, as 10.0.0.1/24");
	return 0;
}

int
config_parse(struct config *config, int argc, char **argv)
{
	int ret = options_parse(config_options, argc, argv);

	if (ret != 0)
		return ret;
	*config = given.config;
	config->server = given.role == 1;
	config->kernel = (enum kernel_driver)given.kernel;
	return check(config);
}

/* SPDX-License-Identifier: BSD-3-Clause */

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "packet.h"

enum option_id {
	OPT_MODE = 256,
	OPT_RXQ,
	OPT_TXQ,
	OPT_POLL_RXQ,
	OPT_COUNT,
	OPT_SIZE,
	OPT_SEGS,
	OPT_FIRST_SEG,
	OPT_SEG_KIND,
	OPT_BURST,
	OPT_RX_BURST,
	OPT_MBUF_SIZE,
	OPT_POOL_SIZE,
	OPT_HOLD,
	OPT_NB_DESC,
	OPT_RX_SCATTER,
	OPT_NO_RETRY,
	OPT_IP,
	OPT_ALLOW_LOSS,
	OPT_WAIT_STDIN,
	OPT_MTU,
	OPT_SEED,
	OPT_PEER_SEED,
	OPT_EXPECT,
	OPT_TIMEOUT,
	OPT_IDLE_END,
	OPT_SETTLE,
	OPT_LINGER,
	OPT_WAIT_LINK,
	OPT_START_DELAY,
	OPT_PORT_NAME,
};

static const struct option long_options[] = {
	{ "mode", required_argument, NULL, OPT_MODE },
	{ "rxq", required_argument, NULL, OPT_RXQ },
	{ "txq", required_argument, NULL, OPT_TXQ },
	{ "poll-rxq", required_argument, NULL, OPT_POLL_RXQ },
	{ "count", required_argument, NULL, OPT_COUNT },
	{ "size", required_argument, NULL, OPT_SIZE },
	{ "segs", required_argument, NULL, OPT_SEGS },
	{ "first-seg", required_argument, NULL, OPT_FIRST_SEG },
	{ "seg-kind", required_argument, NULL, OPT_SEG_KIND },
	{ "burst", required_argument, NULL, OPT_BURST },
	{ "rx-burst", required_argument, NULL, OPT_RX_BURST },
	{ "mbuf-size", required_argument, NULL, OPT_MBUF_SIZE },
	{ "pool-size", required_argument, NULL, OPT_POOL_SIZE },
	{ "hold", required_argument, NULL, OPT_HOLD },
	{ "nb-desc", required_argument, NULL, OPT_NB_DESC },
	{ "rx-scatter", required_argument, NULL, OPT_RX_SCATTER },
	{ "no-retry", no_argument, NULL, OPT_NO_RETRY },
	{ "ip", no_argument, NULL, OPT_IP },
	{ "allow-loss", no_argument, NULL, OPT_ALLOW_LOSS },
	{ "wait-stdin", no_argument, NULL, OPT_WAIT_STDIN },
	{ "mtu", required_argument, NULL, OPT_MTU },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "peer-seed", required_argument, NULL, OPT_PEER_SEED },
	{ "expect", required_argument, NULL, OPT_EXPECT },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "idle-end", required_argument, NULL, OPT_IDLE_END },
	{ "settle", required_argument, NULL, OPT_SETTLE },
	{ "linger", required_argument, NULL, OPT_LINGER },
	{ "wait-link", required_argument, NULL, OPT_WAIT_LINK },
	{ "start-delay", required_argument, NULL, OPT_START_DELAY },
	{ "port-name", required_argument, NULL, OPT_PORT_NAME },
	{ NULL, 0, NULL, 0 },
};

static const char *const mode_names[] = {
	[MODE_SEND] = "send",
	[MODE_RECEIVE] = "receive",
	[MODE_ECHO] = "echo",
	[MODE_BOTH] = "both",
};

static const char *const kind_names[] = {
	[SEG_PLAIN] = "plain",
	[SEG_EXTERNAL] = "external",
	[SEG_INDIRECT] = "indirect",
	[SEG_REFCNT] = "refcnt",
	[SEG_EMPTY] = "empty",
	[SEG_POOLS] = "pools",
	[SEG_MIXED] = "mixed",
};

static const char usage[] =
		"mif-traffic [EAL options] -- --mode send|receive|echo|both [options]\n"
		"  (in a secondary process the primary's port, queues and rx pool are used as they are)\n"
		"  --rxq N --txq N       queues (1..255), --nb-desc N descriptors each (1024)\n"
		"  --poll-rxq N          poll only the first N rx queues (0: all)\n"
		"  --count N             packets per tx queue (10000)\n"
		"  --size LIST           lengths, as 64 or 60-1518 or 64,512,9000 (46..65535; 64)\n"
		"  --segs N              mbuf segments per sent packet (1..64; 1)\n"
		"  --first-seg N         bytes in the first one of several (1..45; as in the others)\n"
		"  --seg-kind KIND       plain external indirect refcnt empty pools mixed (plain)\n"
		"  --burst LIST          tx burst sizes, used in turn (0..1024; 32)\n"
		"  --rx-burst LIST       rx burst sizes, used in turn (0..1024; 32)\n"
		"  --mbuf-size N         data room of an rx mbuf (2048)\n"
		"  --pool-size N         mbufs in the rx pool (0: enough for everything)\n"
		"  --hold N              keep up to N received mbufs before freeing them (0)\n"
		"  --rx-scatter on|off   packets over several rx mbufs (on)\n"
		"  --no-retry            free refused packets and build the same ones again\n"
		"  --ip                  packets that pass as IPv4 and IPv6, for a link that takes no others\n"
		"  --mtu N               ask for this MTU\n"
		"  --seed N --peer-seed N  own seed (1); the seed that must come in (0: any)\n"
		"  --expect N            packets that must come in\n"
		"  --allow-loss          gaps and missing packets are no error\n"
		"  --timeout S           give up after so many seconds (30)\n"
		"  --idle-end MS         reception ends after so long without a packet (500)\n"
		"  --settle MS           ... once all expected packets are there (30)\n"
		"  --wait-stdin          stay up until a line on stdin; count; stop at the next line\n"
		"  --linger MS           when done, stay up for so long (0)\n"
		"  --wait-link S         wait for the link before sending (10)\n"
		"  --start-delay MS      wait so long between link up and the first packet (0)\n"
		"  --port-name NAME      the port to use (port 0)\n";

bool
options_sends(const struct options *opt)
{
	return opt->mode == MODE_SEND || opt->mode == MODE_BOTH;
}

bool
options_receives(const struct options *opt)
{
	return opt->mode != MODE_SEND;
}

const char *
options_mode_name(enum traffic_mode mode)
{
	return mode_names[mode];
}

uint32_t
size_list_pick(const struct size_list *list, uint64_t n)
{
	/* A large prime step: neighbours differ, and still every value of a range comes up. */
	const uint64_t step = 7919;
	uint32_t low, width;
	unsigned int i;

	i = n % list->n;
	low = list->item[i].low;
	width = list->item[i].high - low + 1;
	return low + (uint32_t)((n / list->n) % width * step % width);
}

uint32_t
size_list_max(const struct size_list *list)
{
	uint32_t max = 0;
	unsigned int i;

	for (i = 0; i < list->n; i++)
		if (list->item[i].high > max)
			max = list->item[i].high;
	return max;
}

static int
parse_number(const char *name, const char *text, uint64_t low, uint64_t high, uint64_t *value)
{
	char *end;

	*value = strtoull(text, &end, 0);
	if (*text == '\0' || *text == '-' || *end != '\0' || *value < low || *value > high) {
		fprintf(stderr, "mif-traffic: --%s %s: wants a number %lu..%lu\n", name, text,
				(unsigned long)low, (unsigned long)high);
		return -1;
	}
	return 0;
}

static int
parse_list(const char *name, char *text, uint64_t low, uint64_t high, struct size_list *list)
{
	char *item, *dash, *state = NULL;
	uint64_t first, last;

	list->n = 0;
	for (item = strtok_r(text, ",", &state); item; item = strtok_r(NULL, ",", &state)) {
		dash = strchr(item, '-');
		if (dash)
			*dash = '\0';
		if (parse_number(name, item, low, high, &first) < 0)
			return -1;
		last = first;
		if (dash && parse_number(name, dash + 1, first, high, &last) < 0)
			return -1;
		if (list->n == MAX_LIST) {
			fprintf(stderr, "mif-traffic: --%s: more than %d items\n", name, MAX_LIST);
			return -1;
		}
		list->item[list->n].low = first;
		list->item[list->n].high = last;
		list->n++;
	}
	if (list->n == 0 || size_list_max(list) == 0) {
		fprintf(stderr, "mif-traffic: --%s: wants a list with a value over 0\n", name);
		return -1;
	}
	return 0;
}

static int
parse_word(const char *name, const char *text, const char *const *words, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (strcmp(text, words[i]) == 0)
			return i;
	fprintf(stderr, "mif-traffic: --%s %s: unknown word, one of:", name, text);
	for (i = 0; i < n; i++)
		fprintf(stderr, " %s", words[i]);
	fprintf(stderr, "\n");
	return -1;
}

static int
parse_words_option(int id, const char *name, struct options *opt)
{
	static const char *const switch_names[] = { "off", "on" };
	int value;

	if (id == OPT_MODE) {
		value = parse_word(name, optarg, mode_names, MODE_BOTH + 1);
		opt->mode = value;
	} else if (id == OPT_SEG_KIND) {
		value = parse_word(name, optarg, kind_names, SEG_MIXED + 1);
		opt->seg_kind = value;
	} else {
		value = parse_word(name, optarg, switch_names, 2);
		opt->rx_scatter = value == 1;
	}
	return value < 0 ? -1 : 0;
}

static int
parse_numeric_option(int id, const char *name, struct options *opt)
{
	static const struct {
		int id;
		uint64_t low, high;
	} limits[] = {
		{ OPT_RXQ, 1, MAX_QUEUES },
		{ OPT_TXQ, 1, MAX_QUEUES },
		{ OPT_POLL_RXQ, 0, MAX_QUEUES },
		{ OPT_COUNT, 1, PACKET_MAX_SEQ },
		{ OPT_SEGS, 1, MAX_SEGS },
		{ OPT_FIRST_SEG, 1, PACKET_MIN_LEN - 1 },
		{ OPT_MBUF_SIZE, 1, PACKET_MAX_LEN - 128 },
		{ OPT_POOL_SIZE, 0, 1 << 20 },
		{ OPT_HOLD, 0, 1 << 20 },
		{ OPT_NB_DESC, 1, UINT16_MAX },
		{ OPT_MTU, 1, UINT16_MAX },
		{ OPT_SEED, 1, UINT32_MAX },
		{ OPT_PEER_SEED, 0, UINT32_MAX },
		{ OPT_EXPECT, 0, UINT64_MAX },
		{ OPT_TIMEOUT, 1, 3600 },
		{ OPT_IDLE_END, 1, 3600000 },
		{ OPT_SETTLE, 0, 3600000 },
		{ OPT_LINGER, 0, 3600000 },
		{ OPT_WAIT_LINK, 0, 3600 },
		{ OPT_START_DELAY, 0, 3600000 },
	};
	uint64_t value;
	size_t i = 0;

	while (limits[i].id != id)
		i++;
	if (parse_number(name, optarg, limits[i].low, limits[i].high, &value) < 0)
		return -1;
	switch (id) {
	case OPT_RXQ:
		opt->rxq = value;
		break;
	case OPT_TXQ:
		opt->txq = value;
		break;
	case OPT_POLL_RXQ:
		opt->poll_rxq = value;
		break;
	case OPT_COUNT:
		opt->count = value;
		break;
	case OPT_SEGS:
		opt->segs = value;
		break;
	case OPT_FIRST_SEG:
		opt->first_seg = value;
		break;
	case OPT_MBUF_SIZE:
		opt->dataroom = value;
		break;
	case OPT_POOL_SIZE:
		opt->pool_size = value;
		break;
	case OPT_HOLD:
		opt->hold = value;
		break;
	case OPT_NB_DESC:
		opt->nb_desc = value;
		break;
	case OPT_MTU:
		opt->mtu = value;
		break;
	case OPT_SEED:
		opt->seed = value;
		break;
	case OPT_PEER_SEED:
		opt->peer_seed = value;
		break;
	case OPT_EXPECT:
		opt->expect = value;
		break;
	case OPT_TIMEOUT:
		opt->timeout_s = value;
		break;
	case OPT_IDLE_END:
		opt->idle_end_ms = value;
		break;
	case OPT_SETTLE:
		opt->settle_ms = value;
		break;
	case OPT_LINGER:
		opt->linger_ms = value;
		break;
	case OPT_WAIT_LINK:
		opt->wait_link_s = value;
		break;
	case OPT_START_DELAY:
		opt->start_delay_ms = value;
		break;
	}
	return 0;
}

static int
parse_option(int id, const char *name, struct options *opt)
{
	switch (id) {
	case OPT_MODE:
	case OPT_SEG_KIND:
	case OPT_RX_SCATTER:
		return parse_words_option(id, name, opt);
	case OPT_SIZE:
		return parse_list(name, optarg, PACKET_MIN_LEN, PACKET_MAX_LEN, &opt->sizes);
	case OPT_BURST:
		return parse_list(name, optarg, 0, MAX_BURST, &opt->bursts);
	case OPT_RX_BURST:
		return parse_list(name, optarg, 0, MAX_BURST, &opt->rx_bursts);
	case OPT_NO_RETRY:
		opt->retry = false;
		return 0;
	case OPT_IP:
		opt->ip = true;
		return 0;
	case OPT_ALLOW_LOSS:
		opt->allow_loss = true;
		return 0;
	case OPT_WAIT_STDIN:
		opt->wait_stdin = true;
		return 0;
	case OPT_PORT_NAME:
		opt->port_name = optarg;
		return 0;
	default:
		return parse_numeric_option(id, name, opt);
	}
}

int
options_parse(int argc, char **argv, struct options *opt)
{
	bool have_mode = false;
	int id, index;

	*opt = (struct options){
		.rxq = 1,
		.txq = 1,
		.count = 10000,
		.segs = 1,
		.seg_kind = SEG_PLAIN,
		.sizes = { 1, { { 64, 64 } } },
		.bursts = { 1, { { 32, 32 } } },
		.rx_bursts = { 1, { { 32, 32 } } },
		.dataroom = 2048,
		.nb_desc = 1024,
		.rx_scatter = true,
		.retry = true,
		.seed = 1,
		.timeout_s = 30,
		.idle_end_ms = 500,
		.settle_ms = 30,
		.wait_link_s = 10,
	};
	while ((id = getopt_long(argc, argv, "", long_options, &index)) != -1) {
		if (id == '?' || parse_option(id, long_options[index].name, opt) < 0)
			goto fail;
		have_mode |= id == OPT_MODE;
	}
	if (optind < argc) {
		fprintf(stderr, "mif-traffic: unexpected argument %s\n", argv[optind]);
		goto fail;
	}
	if (!have_mode) {
		fprintf(stderr, "mif-traffic: --mode is needed\n");
		goto fail;
	}
	if (opt->poll_rxq == 0 || opt->poll_rxq > opt->rxq)
		opt->poll_rxq = opt->rxq;
	if (opt->seg_kind == SEG_EMPTY && opt->segs == MAX_SEGS)
		opt->segs--;
	return 0;

fail:
	fputs(usage, stderr);
	return -1;
}

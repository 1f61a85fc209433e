/* SPDX-License-Identifier: BSD-3-Clause */

#include <dirent.h>
#include <sched.h>
#include <unistd.h>
#include <bus_vdev_driver.h>
#include <ethdev_driver.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <sanitizer/common_interface_defs.h>

#include "eal.h"
#include "memif_discard.h"
#include "memif_link.h"
#include "memif_queue.h"
#include "memif_session.h"
#include "ports.h"
#include "turns.h"

#define MBUFS 2047
#define MAPS_EVERY 64 /* inputs between two looks at the mappings */
#define BURST 32

/* How a port is made. */
struct recipe {
	const char *name, *socket, *options;
};

static const struct recipe recipes[PORTS] = {
	[PORT_SERVER] = { "net_memif0", "server", "role=server,id=0" },
	[PORT_SECRET] = { "net_memif1", "server", "role=server,id=1,secret=" PORT_SECRET_TEXT },
	[PORT_SEALED] = { "net_memif2", "server", "role=server,id=2,peer-memory=sealed" },
	[PORT_OTHERS] = { "net_memif3", "server", "role=server,id=3,peer-uid=54321" },
	[PORT_CLIENT] = { "net_memif4", "client", "role=client,id=0,bsize=300" },
};
static const struct recipe honest_recipes[] = {
	{ "net_memif10", "honest", "role=server" },
	{ "net_memif11", "honest", "role=client" },
};

static struct rte_mempool *pool;
static uint16_t ids[PORTS];
static uint16_t honest[2]; /* server, client */
static unsigned int fds_before, maps_before, watched_before;

static void
name_of(char *text, size_t size, const char *what)
{
	snprintf(text, size, "memif-fuzz-%d-%s", getpid(), what);
}

static struct sockaddr_un
address(const char *what, socklen_t *length)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	name_of(un.sun_path + 1, sizeof(un.sun_path) - 1, what);
	*length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(un.sun_path + 1));
	return un;
}

struct sockaddr_un
ports_server_address(socklen_t *length)
{
	return address("server", length);
}

struct sockaddr_un
ports_client_address(socklen_t *length)
{
	return address("client", length);
}

struct mif_port *
ports_get(unsigned int port)
{
	return mif_port_of(&rte_eth_devices[ids[port]]);
}

static uint16_t
add_port(const struct recipe *recipe)
{
	const char *name = recipe->name;
	const struct rte_eth_conf conf = {
		.rxmode.offloads = RTE_ETH_RX_OFFLOAD_SCATTER,
		.intr_conf = { .lsc = 1, .rxq = 1 },
	};
	char path[108], args[256];
	uint16_t id;

	name_of(path, sizeof(path), recipe->socket);
	snprintf(args, sizeof(args), "socket=@%s,rsize=6,%s", path, recipe->options);
	FUZZ_CHECK(rte_vdev_init(name, args) == 0, "no port %s", name);
	FUZZ_CHECK(rte_eth_dev_get_port_by_name(name, &id) == 0, "no port %s", name);
	FUZZ_CHECK(rte_eth_dev_configure(id, PORT_QUEUES, PORT_QUEUES, &conf) == 0, "%s", name);
	for (uint16_t i = 0; i < PORT_QUEUES; i++) {
		FUZZ_CHECK(rte_eth_rx_queue_setup(id, i, 64, SOCKET_ID_ANY, NULL, pool) == 0, "%s",
				name);
		FUZZ_CHECK(rte_eth_tx_queue_setup(id, i, 64, SOCKET_ID_ANY, NULL) == 0, "%s", name);
	}
	FUZZ_CHECK(rte_eth_dev_start(id) == 0, "%s does not start", name);
	return id;
}

static void
replace(unsigned int port)
{
	rte_eth_dev_stop(ids[port]);
	FUZZ_CHECK(rte_vdev_uninit(recipes[port].name) == 0, "port %u stays", port);
	turns_all();
	ids[port] = add_port(&recipes[port]);
}

/* What the open files are; told when there are more than before. */
static unsigned int
count_fds(bool tell)
{
	unsigned int count = 0;
	char target[128];
	struct dirent *entry;
	DIR *dir = opendir("/proc/self/fd");
	ssize_t length;

	FUZZ_CHECK(dir != NULL, "no /proc");
	while ((entry = readdir(dir)) != NULL) {
		count++;
		length = tell ? readlinkat(dirfd(dir), entry->d_name, target, sizeof(target)) : 0;
		if (length > 0)
			fprintf(stderr, "%s: %.*s\n", entry->d_name, (int)length, target);
	}
	closedir(dir);
	return count;
}

/* Mappings of memory that a peer can have made. */
static unsigned int
count_maps(void)
{
	unsigned int count = 0;
	char line[512];
	FILE *maps = fopen("/proc/self/maps", "r");

	FUZZ_CHECK(maps != NULL, "no /proc");
	while (fgets(line, sizeof(line), maps) != NULL)
		count += strstr(line, "memfd:") != NULL;
	fclose(maps);
	return count;
}

void
ports_init(void)
{
	char text[64];

	fuzz_eal_init();
	fuzz_eal_silence();
	pool = fuzz_pool("packets", MBUFS, 512);
	for (int i = 0; i < 2; i++)
		honest[i] = add_port(&honest_recipes[i]);
	for (int i = 0; i < PORTS; i++)
		ids[i] = add_port(&recipes[i]);
	turns_all();
	/* The sanitizer's own pipes are opened when it first prints a name. */
	__sanitizer_symbolize_pc(__builtin_return_address(0), "%f", text, sizeof(text));
	fds_before = count_fds(false);
	maps_before = count_maps();
	watched_before = turns_watched();
}

static uint16_t
make_packets(struct rte_mbuf **mbufs, uint16_t count, struct fuzz_input *in)
{
	struct rte_mbuf *next;
	uint16_t length;

	for (uint16_t i = 0; i < count; i++) {
		mbufs[i] = rte_pktmbuf_alloc(pool);
		if (mbufs[i] == NULL)
			return i;
		length = fuzz_u16(in) % 513;
		memset(rte_pktmbuf_append(mbufs[i], length), i, length);
		next = (length & 3) == 3 ? rte_pktmbuf_alloc(pool) : NULL;
		if (next != NULL) {
			memset(rte_pktmbuf_append(next, 400), i, 400);
			rte_pktmbuf_chain(mbufs[i], next);
		}
	}
	return count;
}

void
ports_burst(unsigned int port, struct fuzz_input *in)
{
	struct rte_mbuf *mbufs[BURST];
	uint16_t count, done;

	for (uint16_t queue = 0; queue < PORT_QUEUES; queue++) {
		done = rte_eth_rx_burst(ids[port], queue, mbufs, BURST);
		FUZZ_CHECK(done <= BURST, "%u packets", done);
		rte_pktmbuf_free_bulk(mbufs, done);
		count = make_packets(mbufs, (uint16_t)fuzz_range(in, 0, BURST), in);
		done = rte_eth_tx_burst(ids[port], queue, mbufs, count);
		FUZZ_CHECK(done <= count, "%u packets of %u", done, count);
		rte_pktmbuf_free_bulk(mbufs + done, count - done);
	}
}

/* What monitoring asks, at any time. */
static void
look(uint16_t id, uint8_t queue, uint8_t choice)
{
	struct rte_eth_xstat xstats[128];
	struct rte_eth_rxq_info rx_info;
	struct rte_eth_txq_info tx_info;
	struct rte_eth_stats stats;
	FILE *nowhere;

	switch (choice % 8) {
	case 0:
		rte_eth_stats_get(id, &stats);
		break;
	case 1:
		rte_eth_xstats_get(id, xstats, COUNT_OF(xstats));
		break;
	case 2:
		rte_eth_rx_queue_count(id, queue);
		break;
	case 3:
		rte_eth_rx_descriptor_status(id, queue, choice);
		break;
	case 4:
		rte_eth_tx_descriptor_status(id, queue, choice);
		break;
	case 5:
		rte_eth_rx_queue_info_get(id, queue, &rx_info);
		break;
	case 6:
		rte_eth_tx_queue_info_get(id, queue, &tx_info);
		break;
	default:
		nowhere = fopen("/dev/null", "w");
		if (nowhere != NULL) {
			rte_eth_dev_priv_dump(id, nowhere);
			fclose(nowhere);
		}
		break;
	}
}

void
ports_operate(unsigned int port, uint8_t choice)
{
	uint8_t queue = choice >> 3 & 1;
	uint16_t id = ids[port];

	switch (choice % 8) {
	case 0:
		rte_eth_dev_stop(id);
		turns_all();
		rte_eth_dev_start(id);
		break;
	case 1:
		rte_eth_dev_set_link_down(id);
		break;
	case 2:
		rte_eth_dev_set_link_up(id);
		break;
	case 3:
		rte_eth_stats_reset(id);
		break;
	case 4:
		rte_eth_dev_rx_intr_enable(id, queue);
		break;
	case 5:
		rte_eth_dev_rx_intr_disable(id, queue);
		break;
	case 6:
		look(id, queue, choice >> 4);
		break;
	default:
		/* In the middle of everything. */
		if (choice == UINT8_MAX)
			replace(port);
		break;
	}
}

static void
check_end(const struct mif_link *link, const struct mif_ring_end *end)
{
	const uint8_t *first = (const uint8_t *)end->ring;
	const uint8_t *last = (const uint8_t *)&end->ring->desc[end->size];
	bool inside = false;

	for (uint32_t i = 0; i < link->shared->region_count; i++)
		inside |= first >= link->shared->regions[i].base &&
				last <= link->shared->regions[i].base +
								link->shared->regions[i].size;
	FUZZ_CHECK(inside, "a ring of %u slots is in no region", end->size);
	FUZZ_CHECK(end->size >= 2 && end->size <= 1u << MIF_LOG2_RING_MAX &&
					(end->size & end->mask) == 0,
			"a ring of %u slots", end->size);
}

void
ports_check(void)
{
	const struct mif_port *port;

	for (unsigned int i = 0; i < PORTS; i++) {
		port = ports_get(i);
		FUZZ_CHECK(port->link == NULL || port->session != NULL, "a link without a session");
		FUZZ_CHECK(rte_eth_devices[ids[i]].data->dev_link.link_status ==
						(port->link != NULL),
				"the link's state of port %u", i);
		if (port->link == NULL)
			continue;
		FUZZ_CHECK(i != PORT_OTHERS, "a client of another user is connected");
		FUZZ_CHECK(port->session->conn.state == MIF_STATE_UP, "up, though '%s'",
				mif_state_name(port->session->conn.state));
		for (int dir = 0; dir < MIF_DIRS; dir++) {
			FUZZ_CHECK(port->link->end_count[dir] <= PORT_QUEUES, "%u rings",
					port->link->end_count[dir]);
			for (uint16_t ring = 0; ring < port->link->end_count[dir]; ring++)
				check_end(port->link, &port->link->ends[dir][ring]);
		}
	}
}

static void
check_honest_pair(void)
{
	struct rte_mbuf *mbuf;
	uint32_t value, seen;
	static uint32_t number;

	for (int i = 0; i < 2; i++) {
		mbuf = rte_pktmbuf_alloc(pool);
		FUZZ_CHECK(mbuf != NULL, "no mbuf is left");
		value = ++number;
		memcpy(rte_pktmbuf_append(mbuf, sizeof(value)), &value, sizeof(value));
		FUZZ_CHECK(rte_eth_tx_burst(honest[i], 0, &mbuf, 1) == 1, "the honest pair");
		FUZZ_CHECK(rte_eth_rx_burst(honest[!i], 0, &mbuf, 1) == 1, "the honest pair");
		memcpy(&seen, rte_pktmbuf_mtod(mbuf, void *), sizeof(seen));
		FUZZ_CHECK(seen == value && mbuf->pkt_len == sizeof(value), "another packet");
		rte_pktmbuf_free(mbuf);
	}
}

void
ports_check_clean(void)
{
	static unsigned int inputs;
	unsigned int count;

	while (!mif_discard_idle())
		sched_yield();
	count = count_fds(false);
	for (unsigned int i = 0; i < PORTS; i++) {
		FUZZ_CHECK(ports_get(i)->session == NULL, "port %u has a session", i);
		FUZZ_CHECK(ports_get(i)->link == NULL, "port %u has a link", i);
	}
	FUZZ_CHECK(rte_mempool_avail_count(pool) == MBUFS, "%u mbufs are lost",
			MBUFS - rte_mempool_avail_count(pool));
	FUZZ_CHECK(turns_watched() == watched_before, "%u files are watched, not %u",
			turns_watched(), watched_before);
	if (count != fds_before)
		count_fds(true);
	FUZZ_CHECK(count == fds_before, "%u files are open, not %u", count, fds_before);
	if (inputs++ % MAPS_EVERY == 0) {
		count = count_maps();
		FUZZ_CHECK(count == maps_before, "%u mappings, not %u", count, maps_before);
	}
	check_honest_pair();
}

/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>

#include "mbufs.h"
#include "packet.h"

static struct rte_mempool *
make_pool(const char *name, uint32_t n, uint32_t dataroom)
{
	struct rte_mempool *pool;

	/* Without a per-lcore cache a small pool really runs empty at its size. */
	pool = rte_pktmbuf_pool_create(name, n, n >= 4096 ? 256 : 0, 0, dataroom, rte_socket_id());
	if (!pool)
		fprintf(stderr, "mif-traffic: pool %s of %u mbufs, %u bytes each: %s\n", name, n,
				dataroom, rte_strerror(rte_errno));
	return pool;
}

int
mbufs_init(struct mbuf_maker *maker, const struct options *opt)
{
	uint32_t burst = size_list_max(&opt->bursts), longest = size_list_max(&opt->sizes);
	uint32_t segs, n, room, i;
	char name[RTE_MEMPOOL_NAMESIZE];

	memset(maker, 0, sizeof(*maker));
	maker->opt = opt;
	segs = (longest + opt->dataroom - 1) / opt->dataroom;
	n = opt->pool_size;
	if (n == 0)
		n = opt->rxq * (size_list_max(&opt->rx_bursts) * segs + 512) + opt->hold + 4096;
	maker->rx_pool = make_pool("rx", n, opt->dataroom + RTE_PKTMBUF_HEADROOM);
	if (!maker->rx_pool)
		return -rte_errno;
	if (!options_sends(opt))
		return 0;

	/* Pieces differ in length by up to a quarter either way: see piece_end(). */
	segs = opt->first_seg && opt->segs > 1 ? opt->segs - 1 : opt->segs;
	room = RTE_MIN(longest / segs * 3 / 2 + 64, longest) + RTE_PKTMBUF_HEADROOM;
	maker->held_size = rte_align32pow2(2 * opt->txq * burst + 1024);
	n = (maker->held_size + 512) * (opt->segs + 1);
	maker->held = calloc(maker->held_size, sizeof(*maker->held));
	if (!maker->held)
		return -ENOMEM;
	for (i = 0; i < TX_POOLS; i++) {
		snprintf(name, sizeof(name), "tx%u", i);
		maker->tx_pools[i] = make_pool(name, n, RTE_MIN(room, PACKET_MAX_LEN));
		if (!maker->tx_pools[i])
			return -rte_errno;
	}
	maker->shell_pool = make_pool("shells", n, 0);
	return maker->shell_pool ? 0 : -rte_errno;
}

uint32_t
mbufs_in_use(const struct mbuf_maker *maker)
{
	uint32_t n = rte_mempool_in_use_count(maker->rx_pool), i;

	if (!maker->shell_pool)
		return n;
	for (i = 0; i < TX_POOLS; i++)
		n += rte_mempool_in_use_count(maker->tx_pools[i]);
	return n + rte_mempool_in_use_count(maker->shell_pool);
}

static void
ext_free(void *addr, void *opaque)
{
	struct mbuf_maker *maker = opaque;

	maker->ext_freed++;
	rte_free(addr);
}

static struct rte_mbuf *
make_external(struct mbuf_maker *maker, uint16_t length)
{
	struct rte_mbuf_ext_shared_info *shinfo;
	struct rte_mbuf *m;
	uint16_t size;
	uint8_t *buf;

	/* The helper puts the shared info at the end of the buffer. */
	size = RTE_MIN(length + sizeof(*shinfo) + 64, (size_t)UINT16_MAX);
	m = rte_pktmbuf_alloc(maker->shell_pool);
	if (!m)
		return NULL;
	buf = rte_malloc("ext", size, 64);
	shinfo = buf ? rte_pktmbuf_ext_shinfo_init_helper(buf, &size, ext_free, maker) : NULL;
	if (!shinfo || size < length) {
		rte_free(buf);
		rte_pktmbuf_free(m);
		return NULL;
	}
	rte_pktmbuf_attach_extbuf(m, buf, rte_malloc_virt2iova(buf), size, shinfo);
	maker->ext_attached++;
	return m;
}

static struct rte_mbuf *
make_indirect(struct mbuf_maker *maker, const uint8_t *data, uint16_t length)
{
	struct rte_mbuf *direct, *m;

	direct = rte_pktmbuf_alloc(maker->tx_pools[0]);
	m = rte_pktmbuf_alloc(maker->shell_pool);
	if (!direct || !m) {
		rte_pktmbuf_free(direct);
		rte_pktmbuf_free(m);
		return NULL;
	}
	memcpy(rte_pktmbuf_mtod(direct, void *), data, length);
	direct->data_len = length;
	direct->pkt_len = length;
	rte_pktmbuf_attach(m, direct);
	/* The clone holds the only reference from here on. */
	rte_pktmbuf_free(direct);
	return m;
}

static struct rte_mbuf *
make_segment(struct mbuf_maker *maker, enum seg_kind kind, unsigned int pool, const uint8_t *data,
		uint16_t length)
{
	struct rte_mbuf *m;

	if (kind == SEG_INDIRECT)
		return make_indirect(maker, data, length);
	if (kind == SEG_EXTERNAL)
		m = make_external(maker, length);
	else
		m = rte_pktmbuf_alloc(maker->tx_pools[kind == SEG_POOLS ? pool % TX_POOLS : 0]);
	if (!m)
		return NULL;
	memcpy(rte_pktmbuf_mtod(m, void *), data, length);
	m->data_len = length;
	m->pkt_len = length;
	return m;
}

/* Where piece i of n ends: about evenly spread, at odd places, another one for each packet. */
static uint32_t
piece_end(uint32_t length, uint32_t i, uint32_t n, uint64_t seq)
{
	uint32_t even = length / n, jitter;

	if (i + 1 == n)
		return length;
	jitter = even / 4 ? (seq + i * 31) % (even / 4) : 0;
	return even * (i + 1) + jitter;
}

/* The same, where the first piece may have a length of its own. */
static uint32_t
piece_end_of(const struct options *opt, uint32_t length, uint32_t i, uint32_t n, uint64_t seq)
{
	if (opt->first_seg == 0 || n == 1)
		return piece_end(length, i, n, seq);
	if (i == 0)
		return opt->first_seg;
	return opt->first_seg + piece_end(length - opt->first_seg, i - 1, n - 1, seq);
}

/* Puts @p extra, of length 0, at a place of the chain that changes with seq. */
static struct rte_mbuf *
insert_empty(struct rte_mbuf *head, struct rte_mbuf *extra, uint64_t seq)
{
	unsigned int place = seq % (head->nb_segs + 1);
	struct rte_mbuf *before = head;

	if (place == 0) {
		extra->nb_segs = head->nb_segs + 1;
		extra->pkt_len = head->pkt_len;
		extra->next = head;
		head->nb_segs = 1;
		return extra;
	}
	while (--place)
		before = before->next;
	extra->next = before->next;
	before->next = extra;
	head->nb_segs++;
	return head;
}

static struct rte_mbuf *
make_chain(struct mbuf_maker *maker, enum seg_kind kind, uint32_t length, uint64_t seq)
{
	struct rte_mbuf *head = NULL, *last = NULL, *m;
	uint32_t start = 0, end, i, n;

	n = RTE_MIN(maker->opt->segs, length - maker->opt->first_seg);
	for (i = 0; i < n; i++) {
		end = piece_end_of(maker->opt, length, i, n, seq);
		m = make_segment(maker, kind, seq + i, maker->scratch + start, end - start);
		if (!m) {
			rte_pktmbuf_free(head);
			return NULL;
		}
		if (head) {
			last->next = m;
			head->nb_segs++;
			head->pkt_len += m->data_len;
		} else {
			head = m;
		}
		last = m;
		start = end;
	}
	if (kind != SEG_EMPTY)
		return head;
	m = make_segment(maker, SEG_PLAIN, 0, maker->scratch, 0);
	if (!m) {
		rte_pktmbuf_free(head);
		return NULL;
	}
	return insert_empty(head, m, seq);
}

struct rte_mbuf *
mbufs_make(struct mbuf_maker *maker, uint16_t queue, uint64_t seq)
{
	enum seg_kind kind = maker->opt->seg_kind;
	struct packet_info info = {
		.length = size_list_pick(&maker->opt->sizes, seq),
		.seed = maker->opt->seed,
		.queue = queue,
		.seq = seq,
		.ip = maker->opt->ip,
	};
	struct rte_mbuf *head, *m;

	if (kind == SEG_MIXED)
		kind = seq % SEG_MIXED;
	if (kind == SEG_REFCNT && maker->held_head - maker->held_tail == maker->held_size)
		return NULL;
	packet_write(maker->scratch, &info);
	head = make_chain(maker, kind, info.length, seq);
	if (head && kind == SEG_REFCNT) {
		for (m = head; m; m = m->next)
			rte_mbuf_refcnt_update(m, 1);
		maker->held[maker->held_head++ & (maker->held_size - 1)] = head;
	}
	return head;
}

static bool
chain_is_ours_alone(const struct rte_mbuf *m)
{
	for (; m; m = m->next)
		if (rte_mbuf_refcnt_read(m) != 1)
			return false;
	return true;
}

uint32_t
mbufs_reap(struct mbuf_maker *maker)
{
	struct packet_info info;
	struct rte_mbuf *m, *seg;
	uint32_t length;

	while (maker->held_tail != maker->held_head) {
		m = maker->held[maker->held_tail & (maker->held_size - 1)];
		if (!chain_is_ours_alone(m))
			break;
		length = 0;
		for (seg = m; seg; seg = seg->next) {
			memcpy(maker->scratch + length, rte_pktmbuf_mtod(seg, void *),
					seg->data_len);
			length += seg->data_len;
		}
		if (packet_check(maker->scratch, length, &info) != PACKET_OK)
			maker->held_modified++;
		rte_pktmbuf_free(m);
		maker->held_tail++;
	}
	return maker->held_head - maker->held_tail;
}

void
mbufs_fini(struct mbuf_maker *maker)
{
	unsigned int i;

	free(maker->held);
	maker->held = NULL;
	for (i = 0; i < TX_POOLS; i++)
		rte_mempool_free(maker->tx_pools[i]);
	rte_mempool_free(maker->shell_pool);
	rte_mempool_free(maker->rx_pool);
}

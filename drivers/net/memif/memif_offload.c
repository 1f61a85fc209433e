/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <string.h>
#include <ethdev_driver.h>
#include <rte_common.h>
#include <rte_errno.h>
#include <rte_ether.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>

#include "memif_burst.h"
#include "memif_headers.h"
#include "memif_log.h"
#include "memif_offload.h"
#include "memif_port.h"
#include "memif_queue.h"
#include "memif_zc_server.h"

#define CHUNK 32  /* packets that go to the normal burst together */
#define VIEWS 256 /* mbufs for them: two per packet, or one per piece of a divided one */
#define WHOLE 256 /* packets of up to so many bytes are copied whole: one view, one slot */

/* A view's references: its own, and one that the normal burst drops, which must not free it. */
#define VIEW_REFERENCES 2

/* How far a packet has come that was divided, when the ring was full: the application offers it
 * again, and what was sent must not be sent twice. */
struct progress {
	const struct rte_mbuf *mbuf; /* NULL when there is none */
	uint32_t length;
	uint32_t sent; /* packets of those that it is divided into */
	uint16_t copied;
	uint8_t head[MIF_HEADERS_MAX];
};

struct mif_offload {
	struct rte_mbuf *out[CHUNK];
	uint16_t held[CHUNK]; /* segments of the packet that its view does not have */
	struct rte_mbuf views[VIEWS];
	uint32_t used; /* views */
	uint8_t heads[CHUNK][MIF_TAG_BYTES + MIF_HEADERS_MAX];
	uint8_t template[MIF_HEADERS_MAX];
	struct progress progress;
};

/*
 * The normal bursts of this process's ports, by port: a burst is told its queue only. They are not
 * in the queue, as functions of a secondary process have other addresses.
 */
static struct {
	eth_rx_burst_t rx;
	eth_tx_burst_t tx;
} normal[RTE_MAX_ETHPORTS];

struct mif_offload *
mif_offload_create(int socket)
{
	return rte_zmalloc_socket("memif offload", sizeof(struct mif_offload), RTE_CACHE_LINE_SIZE,
			socket);
}

static struct rte_mbuf *
new_view(struct mif_offload *work, uint8_t *data, uint32_t length)
{
	struct rte_mbuf *view = &work->views[work->used++];

	view->buf_addr = data;
	view->buf_len = (uint16_t)length;
	view->data_off = 0;
	rte_mbuf_refcnt_set(view, VIEW_REFERENCES);
	view->nb_segs = 1;
	view->ol_flags = 0;
	view->data_len = (uint16_t)length;
	view->pkt_len = length;
	view->next = NULL;
	return view;
}

/* Write checksums and tag into the copied headers of a view. */
static void
finish_view(const struct mif_edit *edit, uint8_t *head, struct rte_mbuf *view)
{
	mif_edit_checksums(edit, head, view);
	if (!edit->tag)
		return;
	view->buf_addr = mif_edit_tag(edit, head);
	view->data_len = (uint16_t)(view->data_len + MIF_TAG_BYTES);
	view->pkt_len += MIF_TAG_BYTES;
}

/*
 * Make the i-th view: of a copy of the packet, or of a copy of its headers and what follows them.
 */
static int
view_packet(struct mif_offload *work, uint32_t i, struct rte_mbuf *mbuf)
{
	uint8_t *head = work->heads[i] + MIF_TAG_BYTES;
	struct rte_mbuf *view, *body;
	struct mif_place *rest;
	struct mif_edit edit;
	int ret = mif_edit_plan(&edit, mbuf, head);

	if (ret != 0)
		return ret;
	rest = &edit.rest;
	if (mbuf->next == NULL && edit.length <= WHOLE)
		edit.copied = (uint16_t)(edit.copied +
				mif_place_read(rest, head + edit.copied,
						edit.length - edit.copied));
	view = new_view(work, head, edit.copied);
	if (edit.copied < edit.length) {
		body = new_view(work,
				rte_pktmbuf_mtod_offset(rest->segment, uint8_t *, rest->offset),
				rest->segment->data_len - rest->offset);
		body->next = rest->segment->next;
		view->next = body;
		view->nb_segs = (uint16_t)(mbuf->nb_segs - rest->before + 1);
		view->pkt_len = edit.length;
		work->held[i] = (uint16_t)(rest->before + 1);
	} else {
		work->held[i] = UINT16_MAX;
	}
	finish_view(&edit, head, view);
	work->out[i] = view;
	return 0;
}

/* What was sent of a packet was a view: free the segments that the normal burst did not see. */
static void
free_held(struct rte_mbuf *mbuf, uint16_t count)
{
	struct rte_mbuf *next;

	for (; count != 0 && mbuf != NULL; count--) {
		next = mbuf->next;
		rte_pktmbuf_free_seg(mbuf);
		mbuf = next;
	}
}

static void
drop(struct mif_queue *queue, struct rte_mbuf *mbuf)
{
	mif_count(&queue->counters.bad_offload, 1);
	rte_pktmbuf_free(mbuf);
}

/* Make views of up to count packets; returns how many come before one that has to go alone. */
static uint32_t
view_packets(struct mif_offload *work, struct rte_mbuf **mbufs, uint32_t count)
{
	uint64_t flags;

	work->used = 0;
	for (uint32_t i = 0; i < count; i++) {
		flags = mbufs[i]->ol_flags & MIF_TX_FLAGS;
		if (flags == 0)
			work->out[i] = mbufs[i];
		else if ((flags & RTE_MBUF_F_TX_TCP_SEG) != 0 ||
				view_packet(work, i, mbufs[i]) != 0)
			return i;
	}
	return count;
}

/* Chain views of so many bytes from a place on; false when there are not enough views. */
static bool
view_pieces(struct mif_offload *work, struct rte_mbuf *view, struct mif_place *place,
		uint32_t bytes)
{
	struct rte_mbuf *last = view;
	uint32_t part;

	while (bytes != 0) {
		if (place->offset == place->segment->data_len) {
			place->segment = place->segment->next;
			place->offset = 0;
			continue;
		}
		if (work->used == VIEWS)
			return false;
		part = RTE_MIN(bytes, place->segment->data_len - place->offset);
		last->next = new_view(work,
				rte_pktmbuf_mtod_offset(place->segment, uint8_t *, place->offset),
				part);
		last = last->next;
		view->nb_segs++;
		view->pkt_len += part;
		place->offset += part;
		bytes -= part;
	}
	return true;
}

static void
skip_bytes(struct mif_place *place, uint32_t bytes)
{
	uint32_t part;

	while (bytes != 0) {
		part = RTE_MIN(bytes, place->segment->data_len - place->offset);
		place->offset += part;
		bytes -= part;
		if (bytes != 0) {
			place->segment = place->segment->next;
			place->offset = 0;
		}
	}
}

/* Make up to CHUNK of the packets that a packet is divided into, from the given one on. */
static uint32_t
view_segments(struct mif_offload *work, const struct mif_edit *edit, struct mif_place *place,
		uint32_t first, uint32_t total)
{
	uint32_t payload = edit->length - edit->copied;
	struct mif_edit part = *edit;
	uint32_t i, number, bytes;
	struct rte_mbuf *view;
	uint8_t *head;

	work->used = 0;
	for (i = 0; i < CHUNK && first + i < total && work->used < VIEWS; i++) {
		number = first + i;
		bytes = RTE_MIN(payload - number * edit->segment, (uint32_t)edit->segment);
		head = work->heads[i] + MIF_TAG_BYTES;
		memcpy(head, work->template, edit->copied);
		view = new_view(work, head, edit->copied);
		if (!view_pieces(work, view, place, bytes))
			break;
		mif_edit_segment(&part, head, number, bytes, number + 1 == total);
		finish_view(&part, head, view);
		work->out[i] = view;
	}
	return i;
}

/* How many packets of this one have been sent already? */
static uint32_t
sent_before(const struct mif_offload *work, const struct rte_mbuf *mbuf,
		const struct mif_edit *edit)
{
	const struct progress *progress = &work->progress;
	bool same = progress->mbuf == mbuf && progress->length == edit->length &&
			progress->copied == edit->copied &&
			memcmp(progress->head, work->template, edit->copied) == 0;

	return same ? progress->sent : 0;
}

static void
note_progress(struct mif_offload *work, const struct rte_mbuf *mbuf, const struct mif_edit *edit,
		uint32_t sent)
{
	struct progress *progress = &work->progress;

	progress->mbuf = mbuf;
	progress->length = edit->length;
	progress->sent = sent;
	progress->copied = edit->copied;
	memcpy(progress->head, work->template, edit->copied);
}

/*
 * Divide a packet and send all; false when the ring is full and the packet has to be offered again.
 */
static bool
send_divided(struct mif_queue *queue, struct rte_mbuf *mbuf, eth_tx_burst_t send)
{
	struct mif_offload *work = queue->offload;
	uint32_t payload, total, number, made, sent;
	struct mif_place place;
	struct mif_edit edit;

	if (mif_edit_plan(&edit, mbuf, work->template) != 0) {
		drop(queue, mbuf);
		return true;
	}
	payload = edit.length - edit.copied;
	total = RTE_MAX(1u, (payload + edit.segment - 1) / edit.segment);
	for (number = sent_before(work, mbuf, &edit); number < total; number += sent) {
		place = edit.rest;
		skip_bytes(&place, number * edit.segment);
		made = view_segments(work, &edit, &place, number, total);
		/* One packet of more pieces than there are views: it is never going to work. */
		if (made == 0) {
			drop(queue, mbuf);
			return true;
		}
		sent = send(queue, work->out, (uint16_t)made);
		if (sent < made) {
			note_progress(work, mbuf, &edit, number + sent);
			return false;
		}
	}
	work->progress.mbuf = NULL;
	rte_pktmbuf_free(mbuf);
	return true;
}

static uint16_t
tx_burst(void *arg, struct rte_mbuf **mbufs, uint16_t count)
{
	struct mif_queue *queue = arg;
	struct mif_offload *work = queue->offload;
	eth_tx_burst_t send = normal[queue->port_id].tx;
	uint16_t done = 0;
	uint32_t made, sent;

	while (done < count) {
		made = view_packets(work, &mbufs[done],
				RTE_MIN((uint32_t)(count - done), (uint32_t)CHUNK));
		if (made == 0 && (mbufs[done]->ol_flags & RTE_MBUF_F_TX_TCP_SEG) == 0) {
			drop(queue, mbufs[done++]);
			continue;
		}
		if (made == 0) {
			if (!send_divided(queue, mbufs[done], send))
				break;
			done++;
			continue;
		}
		sent = send(queue, work->out, (uint16_t)made);
		for (uint32_t i = 0; i < sent; i++) {
			if (work->out[i] >= work->views && work->out[i] < work->views + VIEWS)
				free_held(mbufs[done + i], work->held[i]);
		}
		done = (uint16_t)(done + sent);
		if (sent < made)
			break;
	}
	return done;
}

/*
 * Would the flags of these packets be refused? rte_eth_tx_prepare() stops in front of such a one.
 */
static uint16_t
tx_prepare(void *arg, struct rte_mbuf **mbufs, uint16_t count)
{
	uint8_t head[MIF_HEADERS_MAX];
	struct mif_edit edit;
	int ret;

	RTE_SET_USED(arg);
	for (uint16_t i = 0; i < count; i++) {
		if ((mbufs[i]->ol_flags & MIF_TX_FLAGS) == 0)
			continue;
		ret = mif_edit_plan(&edit, mbufs[i], head);
		if (ret != 0) {
			rte_errno = -ret;
			return i;
		}
	}
	return count;
}

static void
strip(struct rte_mbuf *mbuf)
{
	/* When the strip was just switched on, the burst may still have lent one. */
	bool own = RTE_MBUF_DIRECT(mbuf) || RTE_MBUF_HAS_PINNED_EXTBUF(mbuf);

	if (own && mbuf->data_len >= RTE_ETHER_HDR_LEN + sizeof(struct rte_vlan_hdr))
		rte_vlan_strip(mbuf);
}

static uint16_t
rx_burst(void *arg, struct rte_mbuf **mbufs, uint16_t count)
{
	const struct mif_queue *queue = arg;
	uint16_t taken = normal[queue->port_id].rx(arg, mbufs, count);

	if (!__atomic_load_n(&queue->strip, __ATOMIC_RELAXED))
		return taken;
	for (uint16_t i = 0; i < taken; i++)
		strip(mbufs[i]);
	return taken;
}

void
mif_queue_set_strip(struct mif_queue *queue, bool on)
{
	if (queue == NULL)
		return;
	__atomic_store_n(&queue->strip, on, __ATOMIC_RELAXED);
	/* A packet that lies in the client's memory must not be written to. */
	if (queue->lend_most != 0)
		__atomic_store_n(&queue->lend_from, on ? MIF_LEND_NOTHING : MIF_LEND_FROM,
				__ATOMIC_RELAXED);
}

static bool
strips(const struct rte_eth_dev *dev)
{
	const struct mif_queue *queue;

	for (uint16_t i = 0; i < dev->data->nb_rx_queues; i++) {
		queue = dev->data->rx_queues[i];
		if (queue != NULL && queue->strip)
			return true;
	}
	return false;
}

static void
wrap_rx(struct rte_eth_dev *dev)
{
	dev->rx_pkt_burst = strips(dev) ? rx_burst : normal[dev->data->port_id].rx;
}

void
mif_offload_wrap(struct rte_eth_dev *dev)
{
	uint16_t id = dev->data->port_id;
	bool work = (dev->data->dev_conf.txmode.offloads & MIF_OFFLOAD_TX) != 0;

	normal[id].rx = dev->rx_pkt_burst;
	normal[id].tx = dev->tx_pkt_burst;
	wrap_rx(dev);
	if (work)
		dev->tx_pkt_burst = tx_burst;
	dev->tx_pkt_prepare = work ? tx_prepare : NULL;
}

/* What applications call is a copy of what the device has, made at its start. */
static void
rewrap_rx(struct rte_eth_dev *dev)
{
	wrap_rx(dev);
	if (dev->data->dev_started)
		rte_eth_fp_ops[dev->data->port_id].rx_pkt_burst = dev->rx_pkt_burst;
}

int
mif_vlan_offload_set(struct rte_eth_dev *dev, int mask)
{
	bool on = (dev->data->dev_conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_VLAN_STRIP) != 0;

	if ((mask & RTE_ETH_VLAN_STRIP_MASK) == 0)
		return 0;
	for (uint16_t i = 0; i < dev->data->nb_rx_queues; i++)
		mif_queue_set_strip(dev->data->rx_queues[i], on);
	rewrap_rx(dev);
	return 0;
}

void
mif_vlan_strip_queue_set(struct rte_eth_dev *dev, uint16_t id, int on)
{
	mif_queue_set_strip(dev->data->rx_queues[id], on != 0);
	rewrap_rx(dev);
}

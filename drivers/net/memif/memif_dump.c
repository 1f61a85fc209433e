/* SPDX-License-Identifier: BSD-3-Clause */

#include <ethdev_driver.h>

#include "memif_ctrl.h"
#include "memif_ethdev.h"
#include "memif_link.h"
#include "memif_port.h"
#include "memif_ring.h"
#include "memif_session.h"

static void
dump_ring(FILE *file, const char *what, uint16_t index, const struct mif_ring_end *end)
{
	fprintf(file, "  %s ring %u: %u slots, own index %u, peer index %u%s\n", what, index,
			end->size, __atomic_load_n(end->own_index, __ATOMIC_RELAXED),
			__atomic_load_n(end->peer_index, __ATOMIC_RELAXED),
			end->shared ? ", shared by several queues" : "");
}

static void
dump_link(FILE *file, const struct mif_port *port)
{
	const struct mif_link *link = port->link;

	for (uint32_t i = 0; i < link->shared->region_count; i++)
		fprintf(file, "  region %u: %lu bytes, pages of %lu, %s\n", i,
				link->regions[i].size, link->regions[i].page_size,
				link->regions[i].sealed ? "sealed" : "not sealed");
	for (uint16_t i = 0; i < mif_port_ring_count(port, false); i++)
		dump_ring(file, "receive", i, mif_port_ring(port, false, i));
	for (uint16_t i = 0; i < mif_port_ring_count(port, true); i++)
		dump_ring(file, "transmit", i, mif_port_ring(port, true, i));
}

/* The source of received packets: whoever asks must not search the code for it. */
static void
dump_peer_mac(FILE *file, const struct mif_port *port)
{
	const struct rte_ether_addr mac = mif_port_peer_mac(port);
	char text[RTE_ETHER_ADDR_FMT_SIZE];

	rte_ether_format_addr(text, sizeof(text), &mac);
	fprintf(file, "  address that stands for the peer: %s\n", text);
}

const char *
mif_state_word(const struct mif_port *port)
{
	if (port->link != NULL)
		return "connected";
	if (!mif_port_ready(port))
		return port->started ? "down" : "stopped";
	return port->session != NULL ? "connecting" : "waiting";
}

int
mif_dump(struct rte_eth_dev *dev, FILE *file)
{
	const struct mif_port *port = mif_port_of(dev);

	mif_ctrl_lock();
	fprintf(file, "  role: %s, id %u, mode %s, socket %s%s\n",
			port->args.role == MIF_CLIENT ? "client" : "server", port->args.id,
			mif_port_mode_name(port), port->args.addr.abstract ? "@" : "",
			port->args.addr.text);
	fprintf(file, "  state: %s", mif_state_word(port));
	if (port->link != NULL)
		fprintf(file, " with %s", port->peer);
	fputc('\n', file);
	if (port->args.mode == MIF_MODE_IP)
		dump_peer_mac(file, port);
	if (port->reason[0] != '\0')
		fprintf(file, "  last disconnect: %s\n", port->reason);
	if (port->trouble[0] != '\0')
		fprintf(file, "  trouble: %s\n", port->trouble);
	if (port->link != NULL)
		dump_link(file, port);
	mif_ctrl_unlock();
	return 0;
}

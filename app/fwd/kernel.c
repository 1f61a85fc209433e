/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel.h"

/* One request, to set something or to get it. */
static int
ask(int fd, const struct fwd *fwd, unsigned long what, struct ifreq *request, const char *name)
{
	int error;

	snprintf(request->ifr_name, sizeof(request->ifr_name), "%s", fwd->config.kernel_name);
	if (ioctl(fd, what, request) == 0)
		return 0;
	error = errno;
	fprintf(stderr, "%s: cannot set up the %s of %s: %s\n", program_name, name,
			fwd->config.kernel_name, strerror(error));
	return -error;
}

static int
set_link(int fd, const struct fwd *fwd)
{
	uint16_t id = fwd->port[FWD_NET].id;
	struct rte_ether_addr mac;
	struct ifreq request = { 0 };
	uint16_t mtu;
	int ret = rte_eth_macaddr_get(id, &mac);

	if (ret == 0)
		ret = rte_eth_dev_get_mtu(id, &mtu);
	if (ret != 0)
		return ret;
	request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
	memcpy(request.ifr_hwaddr.sa_data, mac.addr_bytes, sizeof(mac.addr_bytes));
	ret = ask(fd, fwd, SIOCSIFHWADDR, &request, "MAC address");
	if (ret != 0)
		return ret;
	request = (struct ifreq){ .ifr_mtu = mtu };
	return ask(fd, fwd, SIOCSIFMTU, &request, "MTU");
}

static int
set_address(int fd, const struct fwd *fwd)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = fwd->config.address };
	struct ifreq request = { 0 };
	int ret;

	if (!fwd->config.has_address)
		return 0;
	memcpy(&request.ifr_addr, &address, sizeof(address));
	ret = ask(fd, fwd, SIOCSIFADDR, &request, "address");
	if (ret != 0)
		return ret;
	address.sin_addr = fwd->config.mask;
	memcpy(&request.ifr_netmask, &address, sizeof(address));
	return ask(fd, fwd, SIOCSIFNETMASK, &request, "mask");
}

static int
set_up(int fd, const struct fwd *fwd)
{
	struct ifreq request = { 0 };
	int ret = ask(fd, fwd, SIOCGIFFLAGS, &request, "flags");

	if (ret != 0)
		return ret;
	/* What it has stays: without IFF_MULTICAST there would be no IPv6. */
	request.ifr_flags |= IFF_UP | IFF_RUNNING;
	return ask(fd, fwd, SIOCSIFFLAGS, &request, "state");
}

int
kernel_set_up(const struct fwd *fwd)
{
	int fd, ret;

	if (fwd->kernel == 0)
		return 0;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	ret = set_link(fd, fwd);
	if (ret == 0)
		ret = set_address(fd, fwd);
	if (ret == 0)
		ret = set_up(fd, fwd);
	close(fd);
	return ret;
}

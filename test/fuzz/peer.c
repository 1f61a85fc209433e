/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "memif_chan.h"
#include "memif_msg.h"
#include "memif_ring.h"
#include "peer.h"
#include "ports.h"

#define FDS_MAX 10 /* more than the driver has room for */
#define PAGE 4096
#define REGION_SIZE (16 * PAGE)
#define HUGE_SIZE (2 << 20)

/* What may travel as a region. */
static int
make_file(uint8_t kind, uint64_t size)
{
	unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd, pair[2];

	switch (kind % 16) {
	case 8:
		return eventfd(0, EFD_CLOEXEC);
	case 9:
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	case 10:
		return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	case 11:
		return open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	case 12:
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
			return -1;
		close(pair[1]);
		return pair[0];
	case 13:
		return timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	case 14:
		return epoll_create1(EPOLL_CLOEXEC);
	case PEER_HUGE:
		flags |= MFD_HUGETLB;
		size = (size + HUGE_SIZE - 1) / HUGE_SIZE * HUGE_SIZE;
		break;
	default:
		break;
	}
	fd = memfd_create("fuzz", flags);
	if (fd < 0)
		return fd;
	if (kind % 16 == 7) /* smaller than it says */
		size /= 2;
	if (ftruncate(fd, (off_t)size) == 0 && kind % 16 < 4)
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
	if (kind % 16 == 6)
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_WRITE);
	return fd;
}

static void
send_bytes(struct peer *peer, const void *bytes, size_t size, const int *fds, unsigned int count)
{
	struct iovec part = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = size };
	union {
		struct cmsghdr header;
		uint8_t room[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control;
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };

	if (count != 0) {
		memset(&control, 0, sizeof(control));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
		header.msg_control = &control;
		header.msg_controllen = CMSG_SPACE(count * sizeof(int));
	}
	if (sendmsg(peer->sock, &header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return;
}

static void
send_message(struct peer *peer, const struct mif_msg *msg, int fd)
{
	send_bytes(peer, msg, sizeof(*msg), &fd, fd >= 0 ? 1 : 0);
}

/* Keeps the file of a region, and maps it. */
static void
keep(struct peer *peer, int fd)
{
	struct peer_region *region = &peer->region[peer->kept];
	struct stat status;
	void *addr;

	if (peer->kept == PEER_REGIONS || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) ||
			status.st_size == 0) {
		close(fd);
		return;
	}
	region->fd = fd;
	region->size = status.st_size < HUGE_SIZE ? (uint64_t)status.st_size : HUGE_SIZE;
	addr = mmap(NULL, region->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	/* Huge pages may run out at any touch: that is for the driver to survive, not for us. */
	if (addr != MAP_FAILED && region->size == HUGE_SIZE &&
			madvise(addr, region->size, MADV_POPULATE_WRITE) != 0) {
		munmap(addr, region->size);
		addr = MAP_FAILED;
	}
	region->addr = addr == MAP_FAILED ? NULL : addr;
	peer->kept++;
}

void
peer_open(struct peer *peer, int sock)
{
	memset(peer, 0, sizeof(*peer));
	peer->sock = sock;
}

void
peer_close(struct peer *peer)
{
	if (peer->sock < 0)
		return;
	for (unsigned int i = 0; i < peer->kept; i++) {
		if (peer->region[i].addr != NULL)
			munmap(peer->region[i].addr, peer->region[i].size);
		close(peer->region[i].fd);
	}
	/* Also closes the files of messages that nobody has read. */
	mif_chan_close(peer->sock);
	peer->sock = -1;
	peer->kept = 0;
}

static void
add_region(struct peer *peer, uint16_t index, uint64_t size, uint8_t kind)
{
	struct mif_msg msg = mif_msg_add_region(index, size);
	int fd = make_file(kind, size);

	send_message(peer, &msg, fd);
	if (fd >= 0)
		keep(peer, fd);
	peer->regions++;
}

/* The bytes of a region from an offset on, if it is one that is kept and they are in it. */
static void *
bytes_at(const struct peer *peer, uint16_t region, uint64_t offset, uint64_t size)
{
	if (region >= peer->kept || peer->region[region].addr == NULL ||
			offset > peer->region[region].size ||
			size > peer->region[region].size - offset)
		return NULL;
	return peer->region[region].addr + offset;
}

static void
add_ring(struct peer *peer, enum mif_dir dir, uint16_t index, uint16_t region, uint32_t offset,
		uint8_t log2, int fd)
{
	struct mif_msg msg = mif_msg_add_ring(dir, index, region, offset, log2);
	struct mif_ring *ring = bytes_at(peer, region, offset, sizeof(*ring));

	if (ring != NULL && offset % MIF_RING_ALIGN == 0)
		mif_ring_format(ring);
	send_message(peer, &msg, fd);
	if (fd >= 0)
		close(fd);
	peer->rings[dir]++;
	peer->ring_end = offset + mif_ring_bytes(log2 & 15);
}

static struct mif_msg
init_message(uint32_t id)
{
	uint8_t secret[MIF_SECRET_LEN] = { 0 };

	if (id == PORT_SECRET)
		memcpy(secret, PORT_SECRET_TEXT, sizeof(PORT_SECRET_TEXT) - 1);
	return mif_msg_init(id, 0, secret, "fuzz");
}

void
peer_proceed_as_client(struct peer *peer, uint32_t id, uint8_t kind)
{
	struct mif_msg msg;
	struct mif_chan_msg in;

	if (peer->regions == 0 && mif_chan_recv(peer->sock, &in) == 0) {
		msg = init_message(id);
		send_message(peer, &msg, -1);
		add_region(peer, 0, kind % 16 == PEER_HUGE ? HUGE_SIZE : REGION_SIZE, kind);
	} else if (peer->rings[MIF_C2S] == 0) {
		add_ring(peer, MIF_C2S, 0, 0, 0, 4, eventfd(0, EFD_CLOEXEC));
	} else if (peer->rings[MIF_S2C] == 0) {
		add_ring(peer, MIF_S2C, 0, 0, (uint32_t)peer->ring_end, 4, eventfd(0, EFD_CLOEXEC));
	} else {
		msg = mif_msg_connect("fuzz0");
		send_message(peer, &msg, -1);
	}
}

void
peer_send_as_client(struct peer *peer, struct fuzz_input *in, uint32_t id)
{
	struct mif_msg msg;
	uint8_t choice = fuzz_u8(in);
	uint8_t kind = fuzz_u8(in);

	switch (choice % 6) {
	case 0:
		msg = init_message(id);
		if (choice > 128)
			((uint8_t *)&msg)[kind % sizeof(msg)] ^= fuzz_u8(in);
		send_message(peer, &msg, -1);
		break;
	case 1:
	case 2:
		add_region(peer, (uint16_t)(peer->regions + (choice > 240)),
				choice < 128 ? REGION_SIZE :
					       (uint64_t)fuzz_u16(in) << kind / 16 * 3,
				kind);
		break;
	case 3:
	case 4:
		add_ring(peer, kind & 1, (uint16_t)(peer->rings[kind & 1] + (choice > 240)),
				choice > 200 ? kind / 16 : 0,
				choice < 128 ? (uint32_t)peer->ring_end : 8u * fuzz_u16(in),
				(uint8_t)fuzz_range(in, 0, 10),
				make_file(choice < 200 ? 8 : fuzz_u8(in), PAGE));
		break;
	default:
		msg = mif_msg_connect("fuzz0");
		send_message(peer, &msg, -1);
		break;
	}
}

void
peer_proceed_as_server(struct peer *peer)
{
	const struct mif_limits limits = {
		.regions = 8,
		.rings = { PORT_QUEUES, PORT_QUEUES },
		.log2_ring_size = 8,
	};
	struct mif_msg msg = mif_msg_hello("fuzz", &limits);
	struct mif_chan_msg in;

	if (peer->regions == 0) {
		send_message(peer, &msg, -1);
		peer->regions = 1;
		return;
	}
	if (mif_chan_recv(peer->sock, &in) != 0)
		return;
	if (in.msg.type == MIF_MSG_ADD_REGION && in.fd >= 0)
		keep(peer, in.fd);
	else if (in.fd >= 0)
		close(in.fd);
	msg = in.msg.type == MIF_MSG_CONNECT ? mif_msg_connected("fuzz0") : mif_msg_ack();
	send_message(peer, &msg, -1);
}

void
peer_send_as_server(struct peer *peer, struct fuzz_input *in)
{
	uint8_t choice = fuzz_u8(in);
	struct mif_limits limits = {
		.regions = fuzz_u8(in),
		.rings = { (uint16_t)fuzz_range(in, 0, 3), (uint16_t)fuzz_range(in, 0, 3) },
		.log2_ring_size = fuzz_u8(in) % 17,
	};
	struct mif_msg msg;

	switch (choice % 4) {
	case 0:
		msg = mif_msg_hello("fuzz", &limits);
		break;
	case 1:
		msg = mif_msg_ack();
		break;
	case 2:
		msg = mif_msg_connected("fuzz0");
		break;
	default:
		msg = mif_msg_disconnect("the peer's reason");
		break;
	}
	if (choice > 200)
		((uint8_t *)&msg)[fuzz_u8(in) % sizeof(msg)] ^= fuzz_u8(in);
	send_message(peer, &msg, -1);
}

void
peer_send_anything(struct peer *peer, struct fuzz_input *in)
{
	uint8_t bytes[256];
	int fds[FDS_MAX];
	size_t size = fuzz_u8(in) < 200 ? MIF_MSG_SIZE : fuzz_u8(in);
	unsigned int wanted = fuzz_range(in, 0, FDS_MAX), count = 0;

	for (unsigned int i = 0; i < wanted; i++) {
		fds[count] = make_file(fuzz_u8(in), PAGE);
		count += fds[count] >= 0;
	}
	memset(bytes, 0, sizeof(bytes));
	fuzz_bytes(in, bytes, fuzz_u8(in));
	bytes[0] %= 10;
	bytes[1] = 0;
	send_bytes(peer, bytes, size, fds, count);
	for (unsigned int i = 0; i < count; i++)
		close(fds[i]);
}

void
peer_scribble(struct peer *peer, struct fuzz_input *in)
{
	uint8_t kind = fuzz_u8(in);
	uint16_t region = kind / 64;
	uint64_t offset = fuzz_u8(in) * 16u;
	struct mif_desc *desc = bytes_at(peer, region, offset, sizeof(*desc));
	struct mif_ring *ring = bytes_at(peer, 0, offset & ~UINT64_C(0x3f), sizeof(*ring));

	if (desc == NULL || ring == NULL)
		return;
	switch (kind % 4) {
	case 0:
		ring->head = (uint16_t)(ring->tail + fuzz_u8(in) % 32);
		break;
	case 1:
		ring->tail = (uint16_t)(ring->head - fuzz_u8(in) % 32);
		break;
	case 2:
		fuzz_bytes(in, desc, sizeof(*desc));
		break;
	default:
		*desc = (struct mif_desc){
			.flags = fuzz_u8(in) & 1,
			.region = fuzz_u8(in) % 3,
			.length = fuzz_u16(in) % 3000,
			.offset = fuzz_u16(in),
		};
		break;
	}
}

void
peer_pull_away(struct peer *peer, struct fuzz_input *in)
{
	struct peer_region *region = &peer->region[fuzz_u8(in) % PEER_REGIONS];
	uint8_t pages = fuzz_u8(in) % 16;

	if (region >= &peer->region[peer->kept])
		return;
	/* Our own mapping would fault as well. */
	if (region->addr != NULL)
		munmap(region->addr, region->size);
	region->addr = NULL;
	if ((pages & 1) != 0) {
		fallocate(region->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
				(off_t)region->size);
	} else if (ftruncate(region->fd, pages * PAGE) != 0) {
		return; /* sealed */
	}
}

/* SPDX-License-Identifier: BSD-3-Clause */

/* Any text as the options of a port: what is taken is within its limits. */

#include <errno.h>
#include <rte_ether.h>
#include <rte_log.h>

#include "fuzz.h"
#include "memif_devargs.h"

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	FILE *nowhere = fopen("/dev/null", "w");

	(void)argc;
	(void)argv;
	FUZZ_CHECK(nowhere != NULL, "cannot open /dev/null");
	/* The lines are still formatted. */
	rte_openlog_stream(nowhere);
	return 0;
}

static void
check_address(const struct mif_sockaddr *addr)
{
	size_t length = strnlen(addr->text, sizeof(addr->text));

	FUZZ_CHECK(length >= 1 && length <= MIF_SOCK_NAME_MAX, "name of %zu bytes", length);
	FUZZ_CHECK(addr->un.sun_family == AF_UNIX, "family %u", addr->un.sun_family);
	FUZZ_CHECK(addr->length == offsetof(struct sockaddr_un, sun_path) + length + 1, "length %u",
			addr->length);
	FUZZ_CHECK(addr->abstract == (addr->un.sun_path[0] == '\0'), "abstract or not");
	FUZZ_CHECK(memcmp(addr->un.sun_path + addr->abstract, addr->text, length) == 0, "path");
}

static void
check_allowed(const struct mif_devargs *args, const struct mif_allowed *allowed)
{
	FUZZ_CHECK(allowed->count <= MIF_ALLOWED_MAX, "%u ids", allowed->count);
	for (unsigned int i = 0; i < allowed->count; i++)
		FUZZ_CHECK(allowed->ids[i] != UINT32_MAX, "id %u is nobody's", allowed->ids[i]);
	for (unsigned int i = 0; i < args->allowed_uids.count; i++)
		FUZZ_CHECK(mif_devargs_allow(args, args->allowed_uids.ids[i], UINT32_MAX), "uid %u",
				args->allowed_uids.ids[i]);
	for (unsigned int i = 0; i < args->allowed_gids.count; i++)
		FUZZ_CHECK(mif_devargs_allow(args, UINT32_MAX, args->allowed_gids.ids[i]), "gid %u",
				args->allowed_gids.ids[i]);
	FUZZ_CHECK(mif_devargs_allow(args, UINT32_MAX, UINT32_MAX) ==
					(args->allowed_uids.count + args->allowed_gids.count == 0),
			"somebody else");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mif_devargs args;
	char *text = malloc(size + 1);
	int ret;

	memcpy(text, data, size);
	text[size] = '\0';
	memset(&args, 0xa5, sizeof(args));
	ret = mif_devargs_parse(&args, "net_memif0", text);
	free(text);
	FUZZ_CHECK(ret == 0 || ret == -EINVAL || ret == -ENOTSUP, "returns %d", ret);
	if (ret != 0)
		return 0;
	FUZZ_CHECK(args.role == MIF_CLIENT || args.role == MIF_SERVER, "role %d", args.role);
	FUZZ_CHECK(args.buffer_size >= 1, "bsize %u", args.buffer_size);
	FUZZ_CHECK(args.log2_ring_size >= 1 && args.log2_ring_size <= 14, "rsize %u",
			args.log2_ring_size);
	FUZZ_CHECK(rte_is_valid_assigned_ether_addr(&args.mac), "mac");
	FUZZ_CHECK(args.access.mode == (mode_t)-1 || args.access.mode <= 0777, "mode %o",
			args.access.mode);
	check_address(&args.addr);
	check_allowed(&args, &args.allowed_uids);
	check_allowed(&args, &args.allowed_gids);
	return 0;
}

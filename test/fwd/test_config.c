/* SPDX-License-Identifier: BSD-3-Clause */

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

#include "config.h"
#include "unit.h"

const char program_name[] = "test";

static bool
has_protocol(const struct filter *filter, unsigned int protocol)
{
	return (filter->protocols[protocol / 64] >> (protocol % 64) & 1) != 0;
}

static unsigned int
count_bits(const uint64_t *bits, unsigned int words)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < words; i++)
		count += (unsigned int)__builtin_popcountll(bits[i]);
	return count;
}

static void
protocols_by_name_and_number(void **state)
{
	struct filter filter = { 0 };

	(void)state;
	assert_int_equal(config_protocols(&filter, "udp,tcp,132,0,255"), 0);
	assert_true(has_protocol(&filter, 17) && has_protocol(&filter, 6));
	assert_true(has_protocol(&filter, 132) && has_protocol(&filter, 0));
	assert_true(has_protocol(&filter, 255));
	assert_int_equal(count_bits(filter.protocols, COUNT_OF(filter.protocols)), 5);
}

static void
bad_protocols(void **state)
{
	static const char too_long[120] = { [0 ... 118] = '1' };
	static const char *const bad[] = { "", "udpx", "UDP", "256", "-1", "udp,", ",udp",
		"udp,,tcp", "17 ", " 17", "1x", too_long };
	struct filter filter = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_int_equal(config_protocols(&filter, bad[i]), -EINVAL);
}

static void
port_lists(void **state)
{
	struct filter filter = { 0 };

	(void)state;
	assert_int_equal(config_ports(&filter, "53,5000-5003,0,65535"), 0);
	assert_false(filter.any_port);
	assert_int_equal(count_bits(filter.ports, COUNT_OF(filter.ports)), 7);
	memset(&filter, 0, sizeof(filter));
	assert_int_equal(config_ports(&filter, "0-65535"), 0);
	assert_int_equal(count_bits(filter.ports, COUNT_OF(filter.ports)), 65536);
	assert_int_equal(config_ports(&filter, "all"), 0);
	assert_true(filter.any_port);
}

static void
bad_port_lists(void **state)
{
	static const char *const bad[] = { "", "65536", "10-9", "1-", "-1", "1-2-3", "1,", ",", "x",
		"all,1", "1- 2", "0x10", "1-65536", "99999999999999999999" };
	struct filter filter = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_int_equal(config_ports(&filter, bad[i]), -EINVAL);
}

static void
addresses(void **state)
{
	static const struct {
		const char *text;
		uint32_t address, mask;
	} good[] = {
		{ "10.0.0.1/24", 0x0a000001, 0xffffff00 },
		{ "10.0.0.1/255.255.252.0", 0x0a000001, 0xfffffc00 },
		{ "192.168.1.2/32", 0xc0a80102, 0xffffffff },
		{ "192.168.1.2/0", 0xc0a80102, 0 },
		{ "1.2.3.4/255.255.255.255", 0x01020304, 0xffffffff },
	};
	struct in_addr address, mask;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		assert_int_equal(config_address(good[i].text, &address, &mask), 0);
		assert_int_equal(ntohl(address.s_addr), good[i].address);
		assert_int_equal(ntohl(mask.s_addr), good[i].mask);
	}
}

static void
bad_addresses(void **state)
{
	static const char *const bad[] = { "", "/", "10.0.0.1", "10.0.0.1/", "10.0.0.1/33",
		"10.0.0.1/255.0.255.0", "10.0.0.256/24", "10.0.0/24", "10.0.0.1/24/1", "::1/64",
		"10.0.0.1/-1", "10.0.0.1/24x", "100.100.100.1000000/24" };
	struct in_addr address, mask;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_int_equal(config_address(bad[i], &address, &mask), -EINVAL);
}

/* The words of a command line, of which the last is NULL. */
static int
parse(struct config *config, const char *const *words)
{
	char text[8][128], *argv[9] = { text[0] };
	int argc = 1;

	text[0][0] = '\0';
	for (; words[argc - 1] != NULL; argc++) {
		snprintf(text[argc], sizeof(text[argc]), "%s", words[argc - 1]);
		argv[argc] = text[argc];
	}
	return config_parse(config, argc, argv);
}

static void
bad_command_lines(void **state)
{
	static const char *const bad[][4] = {
		{ "--memifs", "0" },
		{ "--memifs", "65" },
		{ "--role", "master" },
		{ "--socket", "" },
		{ "--socket", "/tmp/a,,b" },
		{ "--socket", "/tmp/a=b" },
		{ "--rsize", "15" },
		{ "--protocols", "none" },
		{ "--ports", "70000" },
		{ "--kernel", "vhost" },
		{ "--kernel-name", "sixteen-letters0" },
		{ "--kernel-name", "a/b" },
		{ "--kernel-address", "10.0.0.1" },
		{ "--interval", "-1" },
		{ "--unknown", "1" },
		{ "memifs", "1" },
		{ "--memifs" },
	};
	struct config config;

	(void)state;
	/* Options stay from one call to the next: each gets a good value again. */
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		const char *const good[] = { "--socket=/run/x", "--protocols=udp", "--ports=all",
			"--kernel-name=k0", "--kernel-address=10.0.0.1/8", NULL };

		assert_int_equal(parse(&config, bad[i]), -EINVAL);
		assert_int_equal(parse(&config, good), 0);
	}
}

static void
a_whole_command_line(void **state)
{
	static const char *const words[] = { "--role=server", "--memifs=16", "--socket=/a,@b",
		"--kernel=none", "--ports=4789", "--kernel-address=11.11.11.11/255.255.255.0",
		NULL };
	struct config config;

	(void)state;
	assert_int_equal(parse(&config, words), 0);
	assert_true(config.server);
	assert_int_equal(config.memifs, 16);
	assert_int_equal(config.sockets, 2);
	assert_string_equal(config.socket[1], "@b");
	assert_int_equal(config.kernel, KERNEL_NONE);
	assert_true(config.has_address);
	assert_int_equal(ntohl(config.address.s_addr), 0x0b0b0b0b);
	assert_false(config.filter.any_port);
	assert_true(has_protocol(&config.filter, 17));
	assert_int_equal(parse(&config, (const char *const[]){ "--help", NULL }), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(protocols_by_name_and_number),
		cmocka_unit_test(bad_protocols),
		cmocka_unit_test(port_lists),
		cmocka_unit_test(bad_port_lists),
		cmocka_unit_test(addresses),
		cmocka_unit_test(bad_addresses),
		cmocka_unit_test(bad_command_lines),
		cmocka_unit_test(a_whole_command_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

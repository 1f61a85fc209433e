/* SPDX-License-Identifier: BSD-3-Clause */

/* Memory goes to the node that is asked for. */

#include <errno.h>
#include <numaif.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memif_numa.h"
#include "memif_region.h"
#include "unit.h"

#define PAGES 4
#define WORDS (MIF_NUMA_NODES / 64 + 1)

/* What the kernel will do for a page: its policy, and the nodes that this is about. */
static int
policy_of(uint8_t *page, unsigned long nodes[WORDS])
{
	int policy = -1;

	assert_int_equal(get_mempolicy(&policy, nodes, WORDS * 64, page, MPOL_F_ADDR), 0);
	return policy;
}

/* A region, if NUMA is there and we may ask for it. */
static struct mif_region
make_region(void)
{
	unsigned long nodes[WORDS] = { 0 };
	struct mif_region region, probe;

	assert_int_equal(mif_region_create(&region, PAGES * mif_region_page_size(), "unit"), 0);
	assert_int_equal(mif_region_create(&probe, mif_region_page_size(), "probe"), 0);
	if (mif_numa_prefer(probe.addr, probe.size, 0) != 0 ||
			get_mempolicy(NULL, nodes, WORDS * 64, probe.addr, MPOL_F_ADDR) != 0)
		unit_skip("no NUMA policies in this kernel or container");
	mif_region_release(&probe);
	return region;
}

/* The policy of a page is that of its file: to take pages from node 0. */
static void
assert_prefers_first_node(uint8_t *page)
{
	unsigned long nodes[WORDS] = { 0 };

	assert_int_equal(policy_of(page, nodes), MPOL_PREFERRED);
	assert_int_equal(nodes[0], 1);
}

static void
all_pages_prefer_the_node(void **state)
{
	struct mif_region region = make_region();

	(void)state;
	assert_int_equal(mif_numa_prefer(region.addr, region.size, 0), 0);
	for (uint64_t at = 0; at < region.size; at += region.page_size) {
		assert_prefers_first_node(region.addr + at);
		/* And can be used. */
		region.addr[at] = 1;
	}
	mif_region_release(&region);
}

static void
peers_of_the_file_keep_to_it(void **state)
{
	struct mif_region region = make_region();
	uint8_t *other;

	(void)state;
	assert_int_equal(mif_numa_prefer(region.addr, region.size, 0), 0);
	other = mmap(NULL, region.size, PROT_READ | PROT_WRITE, MAP_SHARED, region.fd, 0);
	assert_ptr_not_equal(other, MAP_FAILED);
	assert_prefers_first_node(other);
	munmap(other, region.size);
	mif_region_release(&region);
}

static void
any_node_leaves_it_as_it_is(void **state)
{
	unsigned long nodes[WORDS] = { 0 };
	struct mif_region region = make_region();

	(void)state;
	assert_int_equal(mif_numa_prefer(region.addr, region.size, -1), 0);
	assert_int_equal(policy_of(region.addr, nodes), MPOL_DEFAULT);
	mif_region_release(&region);
}

static void
node_that_is_not_there(void **state)
{
	static const int absent[] = { MIF_NUMA_NODES - 1, MIF_NUMA_NODES, INT32_MAX };
	struct mif_region region = make_region();

	(void)state;
	for (size_t i = 0; i < COUNT_OF(absent); i++)
		assert_int_equal(mif_numa_prefer(region.addr, region.size, absent[i]), -EINVAL);
	region.addr[0] = 1;
	mif_region_release(&region);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_pages_prefer_the_node),
		cmocka_unit_test(peers_of_the_file_keep_to_it),
		cmocka_unit_test(any_node_leaves_it_as_it_is),
		cmocka_unit_test(node_that_is_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Functional tests with driver and test programs built with ASan and UBSan (build-asan/), and their
# runtime preloaded into the programs of others. A report in any of them fails the test.
set -euo pipefail
# shellcheck source=devtools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

BUILD=$ASAN_BUILD
REPORTS=$BUILD/reports

# What is played unless something else is asked for: control path, each kind of data path,
# offloads, hostile peers, deaths.
CHOSEN=(
	peer/test_hostile_driver.py
	peer/test_hostile_limits.py
	peer/test_ip_conformance.py
	functional/test_pairs.py::test_every_ring_size
	functional/test_pairs.py::test_buffer_sizes_differ
	functional/test_ip.py::test_traffic
	functional/test_zero_copy_client.py::test_mbufs_of_any_kind
	functional/test_zero_copy_client.py::test_receives_into_mbufs
	functional/test_zero_copy_server.py::test_chains
	functional/test_zero_copy_server.py::test_held_packets
	ethdev/test_ethdev_cases.py
	lifecycle/test_life_zero_copy.py
	lifecycle/test_life_kill.py::test_survives_kill9
)
CHOSEN_KILLS=60 # of each role

usage() {
	cat <<-END
		usage: devtools/sanitized.sh [--jobs N] [--junitxml FILE] [PYTEST-ARGUMENT...]
		  --jobs N          so many compilers at a time
		  --junitxml FILE   as pytest takes it
		  PYTEST-ARGUMENT   such as test/peer or -k EXPRESSION; without any, the chosen tests, or
		                    with MIF_SANITIZED=all in the environment all of them
		Reports are kept in build-asan/reports/.
	END
}

build() {
	local options

	mapfile -t options < <(sanitize_options)
	((${#options[@]} > 0)) || return
	build_dir "$BUILD" clang "$jobs" "${options[@]}"
}

jobs=0
arguments=()
while (($# > 0)); do
	case $1 in
	--jobs)
		(($# > 1)) && [[ $2 =~ ^[0-9]+$ ]] || die "--jobs wants a number"
		jobs=$2
		shift
		;;
	--junitxml)
		(($# > 1)) || die "--junitxml wants a file"
		arguments+=("--junitxml=$2")
		shift
		;;
	-h | --help)
		usage
		exit 0
		;;
	*) break ;;
	esac
	shift
done
if (($# > 0)); then
	arguments+=("$@")
elif [[ ${MIF_SANITIZED-} == all ]]; then
	arguments+=("$ROOT/test")
else
	for name in "${CHOSEN[@]}"; do arguments+=("$ROOT/test/$name"); done
	export MIF_KILLS=${MIF_KILLS:-$CHOSEN_KILLS}
fi

command -v clang >/dev/null || die "clang is not installed; run devtools/setup.sh"
use_dpdk
mkdir -p "$BUILD/logs"
build >"$BUILD/logs/build.log" 2>&1 || {
	tail -n 30 "$BUILD/logs/build.log"
	die "the build failed (all of it: $BUILD/logs/build.log)"
}
rm -rf "$REPORTS"
mkdir "$REPORTS"
runtime=$(sanitizer_runtime)
MIF_PLUGIN=$(plugin_path "$BUILD")
# DPDK and its programs have leaks of their own; the unit tests and the fuzz targets look for ours.
common=log_path=$REPORTS/report
export MIF_PLUGIN MIF_BUILD=$BUILD MIF_SANITIZER_REPORTS=$REPORTS \
	MIF_PRELOAD=$runtime:$BUILD/test/sanitizer/libmif_heap.so \
	ASAN_OPTIONS=$common:detect_leaks=0:detect_stack_use_after_return=1 \
	UBSAN_OPTIONS=$common:print_stacktrace=1 \
	PYTHONPATH=$ROOT/test/sanitizer${PYTHONPATH:+:$PYTHONPATH}
"$PYTHON" "$ROOT/devtools/lanes.py" --rootdir "$ROOT/test" -p sanitizer_reports --durations=10 \
	"${arguments[@]}"

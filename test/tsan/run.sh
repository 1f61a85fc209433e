#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Builds what test/tsan/meson.build declares in build-tsan, and runs it: run.sh [JOBS]
set -euo pipefail
# shellcheck source=devtools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../devtools/lib.sh"

BUILD=$ROOT/build-tsan
# The sanitizer does not understand DPDK's spinlocks in assembler; these are compiler built-ins.
OPTIONS=(--werror -Dbuildtype=debugoptimized -Db_sanitize=thread -Db_lundef=false
	-Dc_args=-DRTE_FORCE_INTRINSICS)

rm -f "$BUILD"/meson-logs/testlog.{json,junit.xml}
use_dpdk
configure_build "$BUILD" clang "${OPTIONS[@]}"
meson test -C "$BUILD" --suite tsan --num-processes "${1:-1}" --print-errorlogs </dev/null

#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Builds the driver and shows it at work: two dpdk-testpmd processes, joined by memif, send packets
# to each other, and the rates of both directions are printed.
set -euo pipefail
# shellcheck source=devtools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

BUILD=$ROOT/build
LOG=$BUILD/logs/demo-build.log

case ${1-} in
-h | --help)
	# The options are those of demo.py, less the two that are filled in here.
	exec "$PYTHON" "$ROOT/devtools/demo.py" --help
	;;
esac

"$ROOT/devtools/setup.sh" --minimal
use_dpdk
testpmd=$(dpdk_program dpdk-testpmd)

say "building in $BUILD"
mkdir -p "$BUILD/logs"
build_plugin "$BUILD" gcc >"$LOG" 2>&1 || {
	tail -n 30 "$LOG" >&2
	die "the build failed; all of its output is in $LOG"
}
plugin=$(plugin_path "$BUILD")

# In the background, so that a signal to this script reaches it at once.
"$PYTHON" "$ROOT/devtools/demo.py" --testpmd "$testpmd" --plugin "$plugin" "$@" </dev/null &
demo=$!
trap 'kill -TERM $demo 2>/dev/null || true' INT TERM
status=0
wait $demo || status=$?
while kill -0 $demo 2>/dev/null; do
	status=0
	wait $demo || status=$?
done
exit $status

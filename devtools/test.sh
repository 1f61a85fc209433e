#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Set-up, build, every test. The last line is 'N passed, N failed, N skipped'; the exit status is 0
# when nothing failed and something passed.
set -euo pipefail
# shellcheck source=devtools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

BUILD=$ROOT/build
CLANG_BUILD=$ROOT/build-clang
LOGS=$BUILD/logs
RESULTS=$LOGS/results.jsonl
FUZZ_SECONDS=${MIF_FUZZ_SECONDS:-60} # for each target
LIMIT=4500 # seconds for everything, on a loaded machine; a quiet one takes less than half of it

usage() {
	cat <<-END
		usage: devtools/test.sh [--quick] [--jobs N] [-k EXPRESSION]
		  --quick        without the clang build, the sanitizers and the fuzzing
		  --jobs N       so many compilers and unit tests at a time
		  -k EXPRESSION  only those functional tests, as pytest takes it
		The outputs are in build/logs/.
	END
}

report() { "$PYTHON" "$ROOT/devtools/report.py" "$RESULTS" "$@"; }

# A stage is a group of processes of its own, so that all of it can be ended.
running=
interrupted() {
	trap - INT TERM
	if [[ -n $running ]]; then
		kill -INT -- "-$running" 2>/dev/null || true
		wait "$running" || true
	fi
	die "interrupted"
}
trap interrupted INT TERM

# run_limited SECONDS LOG COMMAND...: its exit status, 124 when it took too long.
run_limited() {
	local seconds=$1 log=$2 left=$((LIMIT - SECONDS)) status=0
	shift 2

	((left >= 1)) || left=1
	((seconds <= left)) || seconds=$left
	set -m
	# INT, since pytest then still writes down what it knows.
	timeout --signal=INT --kill-after=20 "$seconds" "$@" </dev/null >"$log" 2>&1 {lock}>&- &
	running=$!
	set +m
	wait "$running" || status=$?
	running=
	# Killed, as it did not even end upon INT.
	((status != 137)) || status=124
	return "$status"
}

# stage NAME SECONDS REPORT-OPTION... -- COMMAND...: runs it, collects its results, says how it went.
stage() {
	local name=$1 seconds=$2 options=() log begin=$SECONDS status=0 verdict=ok
	shift 2

	while [[ $1 != -- ]]; do
		options+=("$1")
		shift
	done
	shift
	log=$LOGS/${name// /-}.log
	printf '%-18s ' "$name"
	run_limited "$seconds" "$log" "$@" || status=$?
	report collect "$name" --seconds $((SECONDS - begin)) --status "$status" "${options[@]}" ||
		verdict=FAILED
	printf '%s (%d s)\n' "$verdict" $((SECONDS - begin))
	[[ $verdict == ok ]] && return
	tail -n 30 "$log" | sed 's/^/    /'
	say "    (all of it: $log)"
	return 1
}

leave_out() {
	printf '%-18s %s\n' "$1" "$2"
	report leave-out "$1" "$2"
}

# A function of lib.sh, as a command that can be limited.
IN_LIB=(bash -c 'set -euo pipefail; source "$0"; "$@"' "$ROOT/devtools/lib.sh")

unit_tests() {
	local name=$1 dir=$2 cc=$3
	shift 3

	rm -f "$dir"/meson-logs/testlog.{json,junit.xml}
	stage "$name" 300 --reader meson --source "$dir/meson-logs" -- \
		"${IN_LIB[@]}" test_dir "$dir" "$cc" "$test_jobs" "$@"
}

functional_tests() {
	local xml=$LOGS/functional.junit.xml status=0 left_out

	MIF_PLUGIN=$(plugin_path "$BUILD") || MIF_PLUGIN=none
	export MIF_PLUGIN MIF_BUILD=$BUILD
	rm -f "$xml"
	stage functional "$LIMIT" --reader pytest --source "$xml" -- \
		"$PYTHON" "$ROOT/devtools/lanes.py" --junitxml "$xml" "$ROOT/test" \
		--rootdir "$ROOT/test" --continue-on-collection-errors "${pytest_options[@]}" || status=$?
	# Times are measured on machines that others use too: a test has two tries, and nobody hides it.
	sed -n 's/^SECOND TRY/    second try:/p' "$LOGS/functional.log"
	left_out=$(sed -n 's/^LEFT OUT //p' "$LOGS/functional.log" | head -n 1)
	[[ -z $left_out ]] || leave_out "zero-copy variants" "$left_out"
	return "$status"
}

sanitizer_stages() {
	local options xml=$LOGS/sanitizer-tests.junit.xml

	mapfile -t options < <(sanitize_options)
	if ((${#options[@]} == 0)); then
		stage "sanitizer unit" 10 -- "${IN_LIB[@]}" sanitize_options || true
		leave_out "sanitizer tests" "not run: no runtime of the sanitizers"
		return
	fi
	ASAN_OPTIONS=detect_leaks=1:halt_on_error=1 \
		UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
		unit_tests "sanitizer unit" "$ASAN_BUILD" clang "${options[@]}" || true
	rm -f "$xml"
	stage "sanitizer tests" 600 --reader pytest --source "$xml" -- \
		"$ROOT/devtools/sanitized.sh" --jobs "$jobs" --junitxml "$xml" || true
}

other_builds() {
	stage "clang build" 300 --counts -- \
		"${IN_LIB[@]}" build_dir "$CLANG_BUILD" clang "$jobs" "${BUILD_OPTIONS[@]}" || true
	sanitizer_stages
	stage "thread sanitizer" 300 --reader meson --source "$ROOT/build-tsan/meson-logs" -- \
		"$ROOT/test/tsan/run.sh" "$test_jobs" || true
	stage fuzz $((480 + FUZZ_SECONDS * 6)) --reader verdicts --source "$LOGS/fuzz.log" -- \
		"$ROOT/devtools/fuzz.sh" --seconds "$FUZZ_SECONDS" --jobs 2 || true
}

# As the README has it. Where the interop tests are skipped, it is left out; they say why.
forwarder_demo() {
	if ((EUID != 0)); then
		leave_out "forwarder demo" "not run: network namespaces need root"
	elif ! PATH=$PATH:/usr/local/go/bin command -v go >/dev/null; then
		leave_out "forwarder demo" "not run: no Go"
	else
		stage "forwarder demo" 120 --counts -- "$ROOT/devtools/fwd-demo.sh"
	fi
}

tests_of_build() {
	unit_tests unit "$BUILD" gcc "${BUILD_OPTIONS[@]}" || true
	stage demo 120 --counts -- "$ROOT/devtools/demo.sh" --seconds 3 || true
	forwarder_demo || true
	functional_tests || true
}

run_everything() {
	local built=1 name

	stage set-up 600 -- "$ROOT/devtools/setup.sh" || {
		leave_out "all others" "not run: set-up failed"
		return
	}
	use_dpdk
	stage check 120 --reader verdicts --source "$LOGS/check.log" -- "$ROOT/devtools/check.sh" || true
	stage "gcc build" 300 --counts -- \
		"${IN_LIB[@]}" build_dir "$BUILD" gcc "$jobs" "${BUILD_OPTIONS[@]}" || built=0
	if ((quick)); then
		leave_out "clang build" "left out by --quick"
		leave_out "sanitizer unit" "left out by --quick"
		leave_out "sanitizer tests" "left out by --quick"
		leave_out "thread sanitizer" "left out by --quick"
		leave_out fuzz "left out by --quick"
	else
		other_builds
	fi
	if ((built)); then
		tests_of_build
	else
		for name in unit demo "forwarder demo" functional; do
			leave_out "$name" "not run: the gcc build failed"
		done
	fi
}

quick=0
jobs=0
pytest_options=()
while (($# > 0)); do
	case $1 in
	--quick) quick=1 ;;
	--jobs | -k)
		(($# > 1)) || die "$1 wants a value"
		if [[ $1 == -k ]]; then pytest_options=(-k "$2"); else jobs=$2; fi
		shift
		;;
	-h | --help)
		usage
		exit 0
		;;
	*)
		usage >&2
		die "unknown option $1"
		;;
	esac
	shift
done
[[ $jobs =~ ^[0-9]+$ ]] || die "--jobs wants a number, not $jobs"
test_jobs=$jobs
((jobs > 0)) || test_jobs=$(nproc)

mkdir -p "$LOGS"
exec {lock}>"$LOGS/.lock"
flock -n "$lock" || die "another run is under way in this checkout"
: >"$RESULTS"
run_everything
report summary

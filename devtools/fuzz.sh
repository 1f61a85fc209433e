#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Builds the fuzz targets with clang into build-fuzz/ and runs them from their seed corpora. One line
# per target at the end, 'ok ...' or 'FAIL ...'; the exit status is not 0 when one has failed.
set -euo pipefail
# shellcheck source=devtools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

BUILD=$ROOT/build-fuzz
SOURCE=$ROOT/test/fuzz
TARGETS=(fuzz_msg fuzz_conn fuzz_devargs fuzz_ring fuzz_race fuzz_handshake)
OPTIONS=(-Dbuildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false
	-Dc_args=-fsanitize=fuzzer-no-link)
# Options of libFuzzer for all: a process may not grow.
FUZZER=(-rss_limit_mb=3072 -print_final_stats=1 -close_fd_mask=0)
PROGRESS=10 # seconds between two progress lines

usage() {
	cat <<-END
		usage: devtools/fuzz.sh [--seconds N] [--timeout N] [--jobs N] [--seed N] [TARGET...]
		  --seconds N  how long each target runs (60)
		  --timeout N  one input may not take so many seconds (60); more for a process that
		               others keep from running
		  --jobs N     so many targets at a time (as many as there are cores)
		  --seed N     of what is tried (1: what one run finds the next one finds too, as far as
		               both come; 0: another one each time)
		  TARGET       ${TARGETS[*]}
		What they find to be of interest is kept in build-fuzz/corpus/, what makes them fail in
		build-fuzz/crashes/; run build-fuzz/test/fuzz/TARGET FILE to see it again.
	END
}

# What a target needs beside that: the longest input that makes sense, for one.
options_of() {
	case $1 in
	fuzz_msg) say -max_len=512 ;;
	fuzz_conn) say -max_len=8192 ;;
	fuzz_devargs) say -max_len=512 "-dict=$SOURCE/devargs.dict" ;;
	fuzz_ring) say -max_len=4096 ;;
	# Its second thread and the leak detector, which stops all threads, do not go together.
	fuzz_race) say -max_len=32 -detect_leaks=0 ;;
	fuzz_handshake) say -max_len=2048 ;;
	esac
}

# last_of LOG WORD: the number behind the last 'WORD: ' of libFuzzer's output.
last_of() {
	grep -o " $2: [0-9]*" "$1" 2>/dev/null | tail -n 1 | tr -dc 0-9
}

# How far a run is: '#N ...' in front of each of libFuzzer's lines.
executions_of() {
	local total

	total=$(sed -n 's/^stat::number_of_executed_units: *//p' "$1" 2>/dev/null)
	[[ -n $total ]] || total=$(grep -o '^#[0-9]*' "$1" 2>/dev/null | tail -n 1 | tr -dc 0-9)
	say "${total:-0}"
}

crashes_of() { find "$BUILD/crashes" -name "$1-*" ! -name '*-slow-unit-*' | wc -l; }

# run_target NAME: in the background, as the leader of a group of its own.
declare -A pids=() status=() begun=()
run_target() {
	local name=$1 corpus=$BUILD/corpus/$1 options=()

	mkdir -p "$corpus"
	rm -f "$BUILD/crashes/$name"-*
	read -ra options <<<"$(options_of "$name")"
	ASAN_OPTIONS=${ASAN_OPTIONS-}:detect_stack_use_after_return=1 \
		UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
		nice -n 10 "$BUILD/test/fuzz/$name" "$corpus" "$SOURCE/corpus/$name" \
		"${FUZZER[@]}" "${options[@]}" -timeout="$timeout" -max_total_time="$seconds" -seed="$seed" \
		-artifact_prefix="$BUILD/crashes/$name-" \
		</dev/null >"$BUILD/logs/$name.log" 2>&1 &
	pids[$name]=$!
	begun[$name]=$SECONDS
}

end_all() {
	trap - INT TERM
	((${#pids[@]} == 0)) || kill "${pids[@]}" 2>/dev/null || true
	wait
	die "interrupted"
}

# Takes the targets that have ended out of pids.
collect() {
	local name

	for name in "${!pids[@]}"; do
		kill -0 "${pids[$name]}" 2>/dev/null && continue
		status[$name]=0
		wait "${pids[$name]}" || status[$name]=$?
		unset "pids[$name]"
	done
}

progress() {
	local name line="" log

	for name in "${!pids[@]}"; do
		log=$BUILD/logs/$name.log
		line+="  $name $((SECONDS - begun[$name])) s $(executions_of "$log")"
		line+=" (cov $(last_of "$log" cov || say 0))"
	done
	[[ -z $line ]] || say "running:$line"
}

run_all() {
	local waiting=("$@") next_line=$((SECONDS + PROGRESS))

	while ((${#waiting[@]} + ${#pids[@]} > 0)); do
		while ((${#waiting[@]} > 0 && ${#pids[@]} < jobs)); do
			run_target "${waiting[0]}"
			waiting=("${waiting[@]:1}")
		done
		sleep 0.5
		collect
		if ((SECONDS >= next_line)); then
			progress
			next_line=$((SECONDS + PROGRESS))
		fi
	done
}

# What stopped it: our own check, or the sanitizer's summary.
reason_of() {
	grep -m 3 -E ': not so: |: runtime error: |^SUMMARY: |^==[0-9]+== *ERROR: ' "$1" ||
		tail -n 3 "$1"
}

report() {
	local name log crashes rate failed=0

	say
	printf '%-16s %14s %10s %8s %8s %8s\n' target executions exec/s cov ft crashes
	for name in "$@"; do
		log=$BUILD/logs/$name.log
		rate=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")
		printf '%-16s %14s %10s %8s %8s %8s\n' "$name" "$(executions_of "$log")" \
			"${rate:--}" "$(last_of "$log" cov || say -)" \
			"$(last_of "$log" ft || say -)" "$(crashes_of "$name")"
	done
	say
	for name in "$@"; do
		log=$BUILD/logs/$name.log
		crashes=$(crashes_of "$name")
		if ((status[$name] == 0 && crashes == 0)); then
			say "ok $name ($(executions_of "$log") executions)"
			continue
		fi
		failed=1
		say "FAIL $name"
		reason_of "$log" | sed 's/^/    /'
		say "    (all of it: $log; inputs: $BUILD/crashes/)"
	done
	return $failed
}

seconds=60
timeout=60
jobs=0
seed=1
targets=()
while (($# > 0)); do
	case $1 in
	--seconds | --timeout | --jobs | --seed)
		(($# > 1)) && [[ $2 =~ ^[0-9]+$ ]] || die "$1 wants a number"
		declare "${1#--}=$2"
		shift
		;;
	-h | --help)
		usage
		exit 0
		;;
	fuzz_*)
		[[ " ${TARGETS[*]} " == *" $1 "* ]] || die "there is no target $1"
		targets+=("$1")
		;;
	*)
		usage >&2
		die "unknown option $1"
		;;
	esac
	shift
done
((jobs > 0)) || jobs=$(nproc)
((seconds > 0)) || die "--seconds wants at least 1"
((${#targets[@]} > 0)) || targets=("${TARGETS[@]}")

command -v clang >/dev/null || die "clang is not installed; run devtools/setup.sh"
use_dpdk
mkdir -p "$BUILD/logs" "$BUILD/crashes"
exec {lock}>"$BUILD/logs/.lock"
flock -n "$lock" || die "another run is under way in this checkout"
if ! { configure_build "$BUILD" clang "${OPTIONS[@]}" &&
	meson compile -C "$BUILD" "${targets[@]}" </dev/null; } >"$BUILD/logs/build.log" 2>&1; then
	tail -n 30 "$BUILD/logs/build.log" | sed 's/^/    /'
	die "the fuzz targets do not build (all of it: $BUILD/logs/build.log)"
fi
trap end_all INT TERM
run_all "${targets[@]}"
report "${targets[@]}"

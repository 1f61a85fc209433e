# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# What the scripts in this folder share. To be sourced, with `set -euo pipefail` in force.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
DEPS=$ROOT/deps
PYTHON=/usr/bin/python3 # Debian's: another one in PATH does not see Debian's modules

BUILD_OPTIONS=(--werror -Dbuildtype=release)
ASAN_BUILD=$ROOT/build-asan

PLUGIN_GLOB=drivers/net/memif/librte_net_memif.so.[0-9]*

say() { printf '%s\n' "$*"; }
note() { printf 'note: %s\n' "$*"; }
fail() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; }

die() {
	fail "$@"
	exit 1
}

# What is to go when the script ends: the folders in `scratch`, and those that plugin_path made,
# which are known by the script's pid because plugin_path runs in a subshell.
scratch=()
remove_scratch() {
	local dir

	((${#scratch[@]} == 0)) || rm -rf "${scratch[@]}"
	for dir in /run "${HOME:-/nonexistent}" /opt /var/lib; do
		rm -rf "$dir"/.mif-plugin-$$-??????
	done
}
trap remove_scratch EXIT

# --- the DPDK that pkg-config finds (PKG_CONFIG_PATH chooses another one) ---

dpdk_found() { pkg-config --exists libdpdk 2>/dev/null; }
dpdk_version() { pkg-config --modversion libdpdk; }
dpdk_prefix() { pkg-config --variable=prefix libdpdk; }

dpdk_include_dirs() {
	PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 pkg-config --cflags-only-I libdpdk | tr ' ' '\n' |
		sed -n 's/^-I//p'
}

# dpdk_has_header NAME: is it in one of libdpdk's own include folders?
dpdk_has_header() {
	local dir

	for dir in $(dpdk_include_dirs); do
		[[ -e $dir/$1 ]] && return 0
	done
	return 1
}

# Is the DPDK in use the distribution's libdpdk-dev?
dpdk_is_packaged() {
	dpkg -S "$(pkg-config --variable=pcfiledir libdpdk)/libdpdk.pc" >/dev/null 2>&1
}

# dpdk_program NAME: dpdk-testpmd and friends of the DPDK in use.
dpdk_program() {
	local path

	path=$(dpdk_prefix)/bin/$1
	[[ -x $path ]] || path=$(command -v "$1") || {
		fail "$1 not found; run devtools/setup.sh"
		return 1
	}
	say "$path"
}

# Neither the loader nor the shell looks into a prefix by itself.
use_dpdk() {
	local libdir

	dpdk_is_packaged && return 0
	libdir=$(pkg-config --variable=libdir libdpdk)
	export LD_LIBRARY_PATH=$libdir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
	PATH=$(dpdk_prefix)/bin:$PATH
}

# --- huge pages ---

HUGE_DIR=/sys/kernel/mm/hugepages/hugepages-2048kB
HUGE_WANTED=1024
HUGE_ENOUGH=512

huge_free() { cat "$HUGE_DIR/free_hugepages" 2>/dev/null || say 0; }
huge_total() { cat "$HUGE_DIR/nr_hugepages" 2>/dev/null || say 0; }

# --- building ---

# configure_build DIR CC OPTION...: meson setup, anew when compiler, options or DPDK have changed.
configure_build() {
	local dir=$1 cc=$2 stamp
	shift 2

	stamp="$("$cc" --version | sed -n 1p) $* DPDK $(dpdk_version) in $(dpdk_prefix)"
	# Without it there are no unit tests; demo.sh may have been there before the test tools.
	stamp+=" cmocka $(pkg-config --modversion cmocka 2>/dev/null || say none)"
	if [[ -e $dir/build.ninja ]]; then
		[[ $(cat "$dir/.mif-options" 2>/dev/null) == "$stamp" ]] && return 0
		say "$dir was configured otherwise: configuring it anew"
		find "$dir" -mindepth 1 -maxdepth 1 ! -name logs -exec rm -rf {} +
	fi
	# '|| return', here and below: a caller that tests the outcome switches `set -e` off.
	CC=$cc meson setup "$dir" "$ROOT" "$@" </dev/null || return
	say "$stamp" >"$dir/.mif-options"
}

# build_dir DIR CC JOBS OPTION...: configures and compiles (JOBS 0: as many as ninja likes).
build_dir() {
	local dir=$1 cc=$2 jobs=$3
	shift 3

	configure_build "$dir" "$cc" "$@" || return
	meson compile -C "$dir" -j "$jobs" </dev/null
}

# build_plugin DIR CC: configures like build_dir, but compiles the plugin alone.
build_plugin() {
	configure_build "$1" "$2" "${BUILD_OPTIONS[@]}" || return
	meson compile -C "$1" rte_net_memif:shared_library </dev/null
}

# test_dir DIR CC JOBS OPTION...: configures, compiles what the unit tests need, and runs them.
test_dir() {
	local dir=$1 cc=$2 jobs=$3
	shift 3

	configure_build "$dir" "$cc" "$@" || return
	meson test -C "$dir" --suite unit --num-processes "$jobs" --print-errorlogs </dev/null
}

# sanitizer_runtime: prints the file of clang's shared runtime of ASan and UBSan.
sanitizer_runtime() {
	local file

	file=$(clang -print-file-name="libclang_rt.asan-$(uname -m).so")
	[[ -f $file ]] || {
		fail "clang has no $file; run devtools/setup.sh"
		return 1
	}
	say "$file"
}

# sanitize_options: prints the options of ASAN_BUILD, one a line. The runtime is shared, as programs
# that are built without it get it by preloading.
sanitize_options() {
	local runtime

	runtime=$(sanitizer_runtime) || return 1
	printf '%s\n' --werror -Dbuildtype=debugoptimized -Db_sanitize=address,undefined \
		-Db_lundef=false "-Dc_link_args=-shared-libasan -Wl,-rpath,${runtime%/*}"
}

# --- the plugin ---

# plugin_file BUILD_DIR: prints the file that the build made.
plugin_file() {
	local file found=()

	for file in "$1"/$PLUGIN_GLOB; do
		# Not librte_net_memif.so.23.0.p, meson's folder of objects.
		[[ -f $file && $file =~ \.so\.[0-9.]+$ ]] && found+=("$file")
	done
	if ((${#found[@]} == 0)); then
		fail "no plugin in $1; run: meson setup build && meson compile -C build"
		return 1
	fi
	realpath -s "${found[0]}"
}

# EAL refuses a plugin when it, or any folder above it, is writable for everybody.
eal_accepts() {
	local path

	path=$(realpath "$1")
	while :; do
		# The last digit is what others may do; 2 is writing.
		(($(stat -c %a "$path") % 10 & 2)) && return 1
		[[ $path == / ]] && return 0
		path=$(dirname "$path")
	done
}

# plugin_path BUILD_DIR: prints the path for -d. That is the build's own file, or, where EAL would
# refuse that one (a checkout in /tmp), a copy in a private folder, gone when the script ends.
plugin_path() {
	local file dir

	file=$(plugin_file "$1") || return 1
	if eal_accepts "$file"; then
		say "$file"
		return 0
	fi
	for dir in /run "${HOME:-/nonexistent}" /opt /var/lib; do
		[[ -d $dir && -w $dir ]] && eal_accepts "$dir" || continue
		# Programs cannot be mapped from there; Debian mounts /run like that.
		findmnt -n -o OPTIONS -T "$dir" | grep -qw noexec && continue
		dir=$(mktemp -d "$dir/.mif-plugin-$$-XXXXXX")
		cp "$file" "$dir/"
		chmod go-w "$dir/${file##*/}"
		say "$dir/${file##*/}"
		return 0
	done
	fail "DPDK loads no plugin from below a folder that everybody may write to, as $file is;" \
		"put the checkout elsewhere"
	return 1
}

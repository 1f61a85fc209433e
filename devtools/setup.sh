#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Gets what building, running and testing need: Debian packages, DPDK's driver headers (into deps/),
# huge pages when they can be had. Does only what is missing; changes nothing else.
set -euo pipefail
# shellcheck source=devtools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Needed by a program with a driver in it, and not installed by libdpdk-dev.
DRIVER_HEADERS=(ethdev_driver.h ethdev_vdev.h bus_vdev_driver.h dev_driver.h)

PACKAGES_DPDK=(dpdk dpdk-dev libdpdk-dev)
PACKAGES_BUILD=(gcc libc6-dev dpkg-dev libnuma-dev meson ninja-build pkg-config
	python3-pyelftools xz-utils)
PACKAGES_TEST=(clang clang-format cppcheck libcmocka-dev python3-pytest
	python3-pytest-xdist python3-scapy iproute2 iputils-ping iperf3 curl procps)
# Not everywhere to be had, and a service besides; see install_switch().
PACKAGE_SWITCH=openvswitch-switch-dpdk
POLICY=/usr/sbin/policy-rc.d

usage() {
	cat <<-END
		usage: devtools/setup.sh [--minimal]
		  --minimal   only what building and running need, no test tools
	END
}

# --- packages ---

installed() { [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

# missing PACKAGE...: prints those that are not installed. One dpkg-query for all: it is slow.
missing() {
	local package known

	known=" $(dpkg-query -W -f '${db:Status-Status}:${Package} ' "$@" 2>/dev/null || true) "
	for package in "$@"; do
		[[ $known == *" installed:$package "* ]] || say "$package"
	done
}

as_root() {
	local command=()

	((EUID == 0)) || command=(sudo)
	"${command[@]}" "$@" </dev/null
}

# apt_get ARGUMENT...: as root, without questions.
apt_get() {
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@"
}

update_lists() {
	((!updated)) || return 0
	updated=1
	apt_get update || note "apt-get update failed; using the package lists there are"
}

apt_install() {
	((EUID == 0)) || command -v sudo >/dev/null ||
		die "cannot install packages: neither root nor sudo. As root, run:" \
			"apt-get install --no-install-recommends $*"
	say "installing: $*"
	update_lists
	apt_get install -y --no-install-recommends "$@" ||
		die "apt-get could not install: $* (its reasons are above)"
}

# clang's sanitizer libraries are a package of their own, named after its major version.
install_clang_runtime() {
	local major package

	major=$(clang -dumpversion)
	package=libclang-rt-${major%%.*}-dev
	# Older clangs have them in a package that clang itself pulls in.
	installed "$package" || ! apt-cache show "$package" >/dev/null 2>&1 ||
		apt_install "$package"
}

# For the Go programs of test/interop; any Go from 1.19 on will do, packaged or not.
install_go() {
	command -v go >/dev/null && return
	[[ ! -x /usr/local/go/bin/go ]] || return 0
	# In a shell of its own: without Go all the rest works.
	(apt_install golang-go) || note "no Go: the tests with Go programs are left out"
}

# Open vSwitch, whose service is neither started nor enabled: the tests start their own. The policy is
# Debian's way to say so.
install_switch() {
	local status=0 made=0 had=0

	! installed "$PACKAGE_SWITCH" || return 0
	! installed openvswitch-switch || had=1
	update_lists
	apt-cache show "$PACKAGE_SWITCH" >/dev/null 2>&1 || {
		note "there is no package $PACKAGE_SWITCH here: tests with it are skipped"
		return 0
	}
	if [[ ! -e $POLICY ]]; then
		made=1
		as_root sh -c "printf '#!/bin/sh\nexit 101\n' >$POLICY && chmod 755 $POLICY"
	fi
	(apt_install "$PACKAGE_SWITCH") || status=$?
	((!made)) || as_root rm -f "$POLICY"
	((status == 0)) || note "tests with $PACKAGE_SWITCH are skipped"
	((had)) || [[ ! -d /run/systemd/system ]] ||
		as_root systemctl disable -q openvswitch-switch || true
}

install_packages() {
	local wanted=("${PACKAGES_BUILD[@]}") lacking

	# A DPDK in a prefix, by PKG_CONFIG_PATH, takes the place of the distribution's.
	if ! dpdk_found || dpdk_is_packaged; then
		wanted=("${PACKAGES_DPDK[@]}" "${wanted[@]}")
	fi
	((minimal)) || wanted+=("${PACKAGES_TEST[@]}")
	mapfile -t lacking < <(missing "${wanted[@]}")
	((${#lacking[@]} == 0)) || apt_install "${lacking[@]}"
	((minimal)) || {
		install_clang_runtime
		install_go
		install_switch
	}
}

# --- driver headers ---

# write_deb_src DIR: the machine's own apt sources, as source-package sources, in DIR.
write_deb_src() {
	local list parts file

	eval "$(apt-config shell list Dir::Etc::sourcelist/f parts Dir::Etc::sourceparts/d)"
	mkdir -p "$1"
	for file in "$list" "$parts"/*.list; do
		[[ -r $file ]] || continue
		sed -nE 's/^[[:space:]]*deb(-src)?[[:space:]]/deb-src /p' "$file" | sort -u \
			>"$1/${file##*/}"
	done
	for file in "$parts"/*.sources; do
		[[ -r $file ]] || continue
		# The value may go on in lines that begin with a blank; those go with it.
		awk 'tolower($0) ~ /^types:/ { print "Types: deb-src"; skip = 1; next }
			skip && /^[ \t]/ { next }
			{ skip = 0; print }' "$file" >"$1/${file##*/}"
	done
	[[ -n $(cat "$1"/*) ]] || die "no apt sources found in $list and $parts"
}

# write_apt_config WORK: an apt that keeps everything in WORK, so nothing outside is touched.
write_apt_config() {
	mkdir -p "$1/lists/partial" "$1/archives/partial"
	cat >"$1/apt.conf" <<-END
		#clear APT::Update::Pre-Invoke;
		#clear APT::Update::Post-Invoke;
		#clear APT::Update::Post-Invoke-Success;
		Dir::Etc::sourcelist "/dev/null";
		Dir::Etc::sourceparts "$1/sources.list.d";
		Dir::State::lists "$1/lists";
		Dir::Cache::archives "$1/archives";
		Dir::Cache::pkgcache "";
		Dir::Cache::srcpkgcache "";
	END
}

# fetch_source PACKAGE VERSION WORK: unpacks the source package into WORK/source, patches applied.
fetch_source() {
	local package=$1 version=$2 work=$3

	command -v apt-get >/dev/null || die "no apt-get here to fetch DPDK's source with"
	write_deb_src "$work/sources.list.d"
	write_apt_config "$work"
	say "fetching the driver headers from the source package $package $version"
	# One source that does not answer must not be in the way of the one that has it. And apt need
	# not say that its own user cannot reach a checkout in /root.
	apt-get -q -q -c "$work/apt.conf" update </dev/null 2> >(grep -v 'unsandboxed' >&2) || true
	# root, since apt's own user may not write to the folder that it downloads into.
	(cd "$work" && apt-get -q -q -c "$work/apt.conf" -o APT::Sandbox::User=root source \
		--download-only --only-source "$package=$version" </dev/null) || die "the package sources of this machine do not" \
		"have the source of $package $version (any more), or cannot be reached. Either bring" \
		"libdpdk-dev to a version that they have (apt-get update && apt-get install" \
		"libdpdk-dev dpdk dpdk-dev), or add a source that still has this one, then run" \
		"devtools/setup.sh again."
	# apt has compared the files with the signed lists of the archive.
	(cd "$work" && dpkg-source --no-check -x ./*.dsc source >/dev/null)
}

# find_header NAME SOURCE: prints the one file of that name in DPDK's source, if there is one.
find_header() {
	local found

	mapfile -t found < <(find "$2/lib" "$2/drivers/bus" -name "$1" \
		! -path '*/windows/*' ! -path '*/freebsd/*')
	((${#found[@]} <= 1)) || die "more than one $1 in DPDK's source: ${found[*]}"
	say "${found[@]}"
}

# copy_headers SOURCE DEST: the driver headers and what they include that libdpdk-dev has not.
copy_headers() {
	local source=$1 dest=$2 name path queue=("${DRIVER_HEADERS[@]}")

	mkdir -p "$dest"
	while ((${#queue[@]} > 0)); do
		name=${queue[0]}
		queue=("${queue[@]:1}")
		[[ ! -e $dest/$name ]] && ! dpdk_has_header "$name" || continue
		path=$(find_header "$name" "$source")
		# One of the system's, then.
		[[ -n $path ]] || continue
		cp "$path" "$dest/$name"
		mapfile -t -O "${#queue[@]}" queue < <(
			sed -nE 's/^[ \t]*#[ \t]*include[ \t]*[<"]([^">]+)[">].*/\1/p' "$path")
	done
	for name in "${DRIVER_HEADERS[@]}"; do
		[[ -e $dest/$name ]] || dpdk_has_header "$name" ||
			die "$name is nowhere in DPDK's source"
	done
}

fetch_driver_headers() {
	local package version dest work

	dpdk_found || die "pkg-config finds no libdpdk; is PKG_CONFIG_PATH right?"
	dpdk_has_header ethdev_driver.h && return
	dpdk_is_packaged || die "the DPDK in $(dpdk_prefix) has no driver headers (ethdev_driver.h);" \
		"build it with -Denable_driver_sdk=true and install it again"
	read -r package version < <(
		dpkg-query -W -f '${source:Package} ${source:Version}\n' libdpdk-dev)
	dest=$DEPS/dpdk-$(dpdk_version)
	[[ $(cat "$dest/VERSION" 2>/dev/null) == "$version" ]] && return
	mkdir -p "$DEPS"
	work=$(mktemp -d "$DEPS/fetch-XXXXXX")
	chmod 755 "$work" # apt downloads as a user of its own
	scratch+=("$work")
	fetch_source "$package" "$version" "$work"
	copy_headers "$work/source" "$work/dpdk/include"
	say "$version" >"$work/dpdk/VERSION"
	# All at once, so that an interrupted run leaves nothing half done.
	rm -rf "$dest"
	mv "$work/dpdk" "$dest"
	say "driver headers: $dest/include"
}

# --- huge pages ---

# Only for more, never for fewer, and not on a machine too small to give 2 GB away.
reserve_huge_pages() {
	local available

	(($(huge_free) >= HUGE_ENOUGH)) && return
	available=$(awk '$1 == "MemAvailable:" { print int($2 / 1024) }' /proc/meminfo)
	if ((EUID == 0 && available > 4096 && $(huge_total) < HUGE_WANTED)) && [[ -d $HUGE_DIR ]]; then
		echo $HUGE_WANTED 2>/dev/null >"$HUGE_DIR/nr_hugepages" || true
	fi
	(($(huge_free) >= HUGE_ENOUGH)) || note "only $(huge_free) huge pages of 2 MB are free;" \
		"everything works without (--no-huge), only slower. As root, to have them:" \
		"sysctl vm.nr_hugepages=$HUGE_WANTED"
}

minimal=0
updated=0
for arg in "$@"; do
	case $arg in
	--minimal) minimal=1 ;;
	-h | --help)
		usage
		exit 0
		;;
	*)
		usage >&2
		die "unknown option $arg"
		;;
	esac
done

command -v dpkg-query >/dev/null ||
	die "this machine has no Debian packages; the README lists what to install instead"
install_packages
fetch_driver_headers
reserve_huge_pages

#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Shows dpdk-memif-fwd at work, as root: a host in a network namespace pings the kernel behind the
# forwarder, and its UDP packets come back from a Go program.
set -euo pipefail
# shellcheck source=devtools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

BUILD=$ROOT/build
HOST=mifhost$$
FWD=miffwd$$

[[ $# -eq 0 ]] || die "takes no arguments; run it as root"
((EUID == 0)) || die "network namespaces need root"
"$ROOT/devtools/setup.sh"
use_dpdk
export PATH=$PATH:/usr/local/go/bin
command -v go >/dev/null || die "no Go: install it, the peer of this demo is a Go program"

work=$(mktemp -d /run/mif-fwd-demo-XXXXXX)
scratch+=("$work")
mkdir -p "$BUILD/logs"
say "building"
{
	build_plugin "$BUILD" gcc && meson compile -C "$BUILD" dpdk-memif-fwd </dev/null
} >"$BUILD/logs/fwd-demo.log" 2>&1 || die "the build failed, see $BUILD/logs/fwd-demo.log"
(cd "$ROOT/test/interop/go" && go build -o "$work/memif-go" .)
plugin=$(plugin_path "$BUILD")

pids=()
clean_up() {
	local pid

	for pid in "${pids[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
	for pid in "${pids[@]}"; do wait "$pid" || true; done
	ip netns del "$HOST" 2>/dev/null || true
	ip netns del "$FWD" 2>/dev/null || true
	remove_scratch
}
trap clean_up EXIT

ip netns add "$HOST"
ip netns add "$FWD"
ip link add net0 netns "$FWD" type veth peer name eth0 netns "$HOST"
ip netns exec "$FWD" sysctl -q -w net.ipv6.conf.net0.disable_ipv6=1 \
	net.ipv4.conf.net0.arp_ignore=8 net.ipv4.conf.net0.rp_filter=1
ip netns exec "$HOST" "$PYTHON" "$ROOT/test/interop/checksumsoff.py" eth0
ip -n "$HOST" addr add 10.98.0.2/24 dev eth0
ip -n "$HOST" link set eth0 up
ip -n "$FWD" link set net0 up

# It would end with its stdin.
mkfifo "$work/stdin"
exec {held}<>"$work/stdin"
"$work/memif-go" -socket "$work/memif.sock" -mode reflect -mark 1 <&"$held" &
pids+=($!)
ip netns exec "$FWD" "$BUILD/app/fwd/dpdk-memif-fwd" --lcores 0@0,1@0 --no-pci --no-huge -m 512 \
	--no-telemetry --file-prefix "$FWD" -d "$plugin" --vdev=net_af_packet0,iface=net0 -- \
	--socket "$work/memif.sock" --kernel-address 10.98.0.1/24 --sleep 100 &
pids+=($!)
for _ in {1..100}; do
	ip netns exec "$HOST" ping -q -c 1 -W 1 10.98.0.1 >/dev/null 2>&1 && break
	sleep 0.1
done
say "--- ping, answered by the kernel"
ip netns exec "$HOST" ping -c 3 -i 0.2 10.98.0.1
say "--- UDP, echoed by the Go program"
ip netns exec "$HOST" "$PYTHON" -c '
import itertools, socket
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(1)
def echo(number):
    # The memif link may come up later than the kernel answers.
    for attempt in itertools.count(1):
        sock.sendto(b"_ packet %d" % number, ("10.98.0.1", 5000))
        try:
            return sock.recvfrom(100)
        except TimeoutError:
            if attempt == 30:
                raise
for number in range(3):
    data, sender = echo(number)
    print(data[1:].decode().strip(), "came back from", *sender)'

// SPDX-License-Identifier: BSD-3-Clause

package main

import "encoding/binary"

const (
	etherIPv4 = 0x0800
	etherIPv6 = 0x86dd
	protoUDP  = 17
)

func swap(pkt []byte, at, n int) {
	for i := at; i < at+n; i++ {
		pkt[i], pkt[i+n] = pkt[i+n], pkt[i]
	}
}

// reflect turns a UDP packet round: addresses and ports change places, which leaves its checksums
// right. A mark other than 0 becomes the first byte of the payload (IPv4). Says whether it was one.
func reflect(pkt []byte, mark int) bool {
	if len(pkt) < etherLen {
		return false
	}
	var addresses, length, protocol, ports int
	switch binary.BigEndian.Uint16(pkt[12:]) {
	case etherIPv4:
		addresses, length, protocol = etherLen+12, 4, etherLen+9
		ports = etherLen + int(pkt[etherLen]&15)*4
	case etherIPv6:
		addresses, length, protocol = etherLen+8, 16, etherLen+6
		ports = etherLen + 40
	default:
		return false
	}
	if len(pkt) < ports+8 || pkt[protocol] != protoUDP {
		return false
	}
	swap(pkt, 0, 6)
	swap(pkt, addresses, length)
	swap(pkt, ports, 2)
	if mark > 0 && len(pkt) > ports+8 {
		// 0 is "no checksum".
		pkt[ports+6], pkt[ports+7] = 0, 0
		pkt[ports+8] = byte(mark)
	}
	return true
}

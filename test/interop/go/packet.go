// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"encoding/binary"
	"errors"
)

// The test packet of mif-traffic (test/traffic/packet.h): an Ethernet header, this header, and a
// payload that follows from (seed, queue, seq) alone.
const (
	etherLen  = 14
	minLen    = 46
	magicWord = 0x6d696674

	magicAt  = etherLen
	lengthAt = magicAt + 4
	seedAt   = lengthAt + 4
	queueAt  = seedAt + 4
	seqAt    = queueAt + 4
	hashAt   = seqAt + 8
)

var (
	errForeign = errors.New("not one of our packets")
	errLength  = errors.New("other length than it was sent with")
	errBytes   = errors.New("some byte is wrong")
)

// Locally administered addresses and the EtherType for local experiments.
var ether = [etherLen]byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5}

type packetInfo struct {
	seed  uint32
	queue uint16
	seq   uint64
}

// mix is the finaliser of splitmix64.
func mix(x uint64) uint64 {
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb
	return x ^ (x >> 31)
}

func hashBytes(buf []byte) uint64 {
	const odd = 0x9e3779b97f4a7c15
	hash := mix(uint64(len(buf)))
	for len(buf) >= 8 {
		hash = (hash ^ binary.LittleEndian.Uint64(buf)) * odd
		hash ^= hash >> 29
		buf = buf[8:]
	}
	if len(buf) > 0 {
		var last [8]byte
		copy(last[:], buf)
		hash = (hash ^ binary.LittleEndian.Uint64(last[:])) * odd
	}
	return mix(hash)
}

// writePacket fills all of buf, which has at least minLen bytes.
func writePacket(buf []byte, info packetInfo) {
	copy(buf, ether[:])
	buf[4], buf[10] = byte(info.queue), byte(info.queue)
	binary.LittleEndian.PutUint32(buf[magicAt:], magicWord)
	binary.LittleEndian.PutUint32(buf[lengthAt:], uint32(len(buf)))
	binary.LittleEndian.PutUint32(buf[seedAt:], info.seed)
	binary.LittleEndian.PutUint32(buf[queueAt:], uint32(info.queue))
	binary.LittleEndian.PutUint64(buf[seqAt:], info.seq)
	binary.LittleEndian.PutUint64(buf[hashAt:], 0)
	state := mix((uint64(info.seed)<<16 | uint64(info.queue)) ^ mix(info.seq))
	for pos := minLen; pos < len(buf); pos += 8 {
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], mix(state+uint64(pos)))
		copy(buf[pos:], word[:])
	}
	binary.LittleEndian.PutUint64(buf[hashAt:], hashBytes(buf))
}

// checkPacket clobbers the hash field of buf.
func checkPacket(buf []byte) (packetInfo, error) {
	var info packetInfo
	if len(buf) < minLen || binary.LittleEndian.Uint32(buf[magicAt:]) != magicWord {
		return info, errForeign
	}
	info.seed = binary.LittleEndian.Uint32(buf[seedAt:])
	info.queue = binary.LittleEndian.Uint16(buf[queueAt:])
	info.seq = binary.LittleEndian.Uint64(buf[seqAt:])
	if binary.LittleEndian.Uint32(buf[lengthAt:]) != uint32(len(buf)) {
		return info, errLength
	}
	hash := binary.LittleEndian.Uint64(buf[hashAt:])
	binary.LittleEndian.PutUint64(buf[hashAt:], 0)
	if hashBytes(buf) != hash {
		return info, errBytes
	}
	return info, nil
}

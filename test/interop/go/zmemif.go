// SPDX-License-Identifier: BSD-3-Clause

//go:build zmemif

// The same program on zmemif, a fork of gomemif. Its module is not among those of go.mod: the test
// gives another go.mod, with a checkout of it (see gopeer.py).

package main

import (
	"fmt"
	"os"

	"github.com/zartbot/zmemif"
)

type (
	queue         = zmemif.Queue
	memifSocket   = zmemif.Socket
	memifPort     = zmemif.Port
	memifCallback = func(*memifPort) error
)

const libraryName = "zmemif"

func newSocket(path string) (*memifSocket, error) {
	return zmemif.NewSocket("memif-go", path)
}

func newPort(socket *memifSocket, id int, opt *options, up, down memifCallback) (*memifPort, error) {
	return socket.NewPort(&zmemif.PortCfg{
		Id:       uint32(id),
		IsServer: opt.server,
		Name:     fmt.Sprintf("go%d", id),
		MemoryConfig: zmemif.MemoryConfig{
			NumQueuePairs:    uint16(opt.queues),
			Log2RingSize:     uint8(opt.rsize),
			PacketBufferSize: uint32(opt.bsize),
		},
		ConnectedFunc:    up,
		DisconnectedFunc: down,
	})
}

func startPolling(socket *memifSocket) {
	go func() {
		for err := range socket.ErrChan {
			fmt.Fprintf(os.Stderr, "memif-go: %v\n", err)
		}
	}()
	socket.StartPolling()
}

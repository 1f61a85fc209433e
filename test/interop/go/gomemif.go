// SPDX-License-Identifier: BSD-3-Clause

//go:build !zmemif

package main

import (
	"fmt"
	"os"

	"go.fd.io/govpp/extras/gomemif/memif"
)

// The library, by the names that this program has for it.
type (
	queue         = memif.Queue
	memifSocket   = memif.Socket
	memifPort     = memif.Interface
	memifCallback = func(*memifPort) error
)

const libraryName = "gomemif"

func newSocket(path string) (*memifSocket, error) {
	return memif.NewSocket("memif-go", path)
}

func newPort(socket *memifSocket, id int, opt *options, up, down memifCallback) (*memifPort, error) {
	return socket.NewInterface(&memif.Arguments{
		Id:       uint32(id),
		IsMaster: opt.server,
		Name:     fmt.Sprintf("go%d", id),
		MemoryConfig: memif.MemoryConfig{
			NumQueuePairs:    uint16(opt.queues),
			Log2RingSize:     uint8(opt.rsize),
			PacketBufferSize: uint32(opt.bsize),
		},
		ConnectedFunc:    up,
		DisconnectedFunc: down,
	})
}

func startPolling(socket *memifSocket) {
	errors := make(chan error, 16)
	go func() {
		for err := range errors {
			fmt.Fprintf(os.Stderr, "memif-go: %v\n", err)
		}
	}()
	socket.StartPolling(errors)
}

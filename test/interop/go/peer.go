// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// port is one memif interface. Its workers, one per pair of queues, live as long as a connection.
type port struct {
	id          int
	opt         *options
	intf        *memifPort
	quit        atomic.Bool
	workers     sync.WaitGroup
	connections atomic.Int64
	mutex       sync.Mutex
	finished    []*worker
	running     []*worker
}

// makeQuiet has the library's control goroutine hear nothing of this queue. As a server it watches
// the queue's eventfd but neither masks the ring's interrupts nor reads the eventfd: it would spin
// from the first packet on. Who polls, as we do, needs no events.
func makeQuiet(q *queue) error {
	fd, err := q.GetEventFd()
	if err != nil {
		return err
	}
	silent, _, errno := syscall.Syscall(syscall.SYS_EVENTFD2, 0, syscall.O_NONBLOCK, 0)
	if errno != 0 {
		return errno
	}
	defer syscall.Close(int(silent))
	return syscall.Dup3(int(silent), fd, syscall.O_CLOEXEC)
}

func (p *port) connected(intf *memifPort) error {
	p.quit.Store(false)
	p.connections.Add(1)
	fmt.Printf("memif-go: connected %d\n", p.id)
	for qid := 0; qid < p.opt.queues; qid++ {
		w := &worker{port: p, number: qid}
		if rx, err := intf.GetRxQueue(qid); err == nil {
			if p.opt.server {
				if err := makeQuiet(rx); err != nil {
					return err
				}
			}
			w.rx = rx
		}
		if tx, err := intf.GetTxQueue(qid); err == nil {
			w.tx = tx
		}
		if w.rx == nil && w.tx == nil {
			break
		}
		p.mutex.Lock()
		p.running = append(p.running, w)
		p.mutex.Unlock()
		p.workers.Add(1)
		go w.run()
	}
	return nil
}

// disconnected returns when no worker touches the shared memory any more: it is unmapped next.
func (p *port) disconnected(*memifPort) error {
	p.stop()
	fmt.Printf("memif-go: disconnected %d\n", p.id)
	return nil
}

func (p *port) stop() {
	p.quit.Store(true)
	p.workers.Wait()
	p.mutex.Lock()
	p.finished = append(p.finished, p.running...)
	p.running = nil
	p.mutex.Unlock()
}

// peer is all ports of this process, on one socket.
type peer struct {
	opt    *options
	socket *memifSocket
	ports  []*port
}

func newPeer(opt *options) (*peer, error) {
	if opt.server {
		// The library does not replace the file of a server that was killed.
		os.Remove(opt.socket)
	}
	socket, err := newSocket(opt.socket)
	if err != nil {
		return nil, err
	}
	p := &peer{opt: opt, socket: socket}
	for n := 0; n < opt.ports; n++ {
		one := &port{id: opt.id + n, opt: opt}
		one.intf, err = newPort(socket, one.id, opt, one.connected, one.disconnected)
		if err != nil {
			return nil, err
		}
		p.ports = append(p.ports, one)
	}
	startPolling(socket)
	return p, nil
}

// connect has the ports of a client call their server, again and again until done is closed.
func (p *peer) connect(done <-chan struct{}) {
	for {
		for _, one := range p.ports {
			// A refused attempt leaves a file open in the library, hence the look first.
			if _, err := os.Stat(p.opt.socket); err == nil && !one.intf.IsConnecting() {
				one.intf.RequestConnection()
			}
		}
		select {
		case <-done:
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// close ends the connections with a DISCONNECT, and removes the socket file of a server.
func (p *peer) close() {
	p.socket.StopPolling()
	for _, one := range p.ports {
		one.stop()
		one.intf.Delete()
	}
	p.socket.Delete()
}

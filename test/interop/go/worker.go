// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"os"
	"runtime"
	"time"
)

const (
	// Packets before the other direction has its turn.
	burst = 64
	// What a ring can hold at most, in bursts.
	ringBursts = 16384 / burst
	// Rounds without a packet before the core is left alone for a while.
	idleSleep = 2000
	maxQueues = 256
)

type counters struct {
	Received  uint64 `json:"received"`
	Sent      uint64 `json:"sent"`
	Bad       uint64 `json:"bad"`        // wrong bytes, wrong length, foreign
	Lost      uint64 `json:"lost"`       // gaps in the sequence numbers
	Repeated  uint64 `json:"repeated"`   // came twice, or late
	RxErrors  uint64 `json:"rx_errors"`  // ReadPacket said error
	Polls     uint64 `json:"polls"`      // rounds
	EmptyPoll uint64 `json:"empty_poll"` // rounds in which nothing moved
}

func (c *counters) add(o *counters) {
	c.Received += o.Received
	c.Sent += o.Sent
	c.Bad += o.Bad
	c.Lost += o.Lost
	c.Repeated += o.Repeated
	c.RxErrors += o.RxErrors
	c.Polls += o.Polls
	c.EmptyPoll += o.EmptyPoll
}

// worker moves the packets of one pair of queues, of one connection.
type worker struct {
	port     *port
	number   int // of its queues
	rx, tx   *queue
	buf      []byte
	out      []byte
	outReady bool
	next     [maxQueues]uint64 // the sequence number that a queue of the sender has next
	counters
	first, last time.Time // packets were moved between these
	problem     string
}

func (w *worker) run() {
	defer w.port.workers.Done()
	opt := w.port.opt
	w.buf = make([]byte, 65536)
	w.out = make([]byte, opt.size)
	idle := 0
	for !w.port.quit.Load() {
		moved := 0
		switch opt.mode {
		case "echo", "reflect":
			moved = w.echo()
		case "receive":
			moved = w.receive()
		case "send":
			moved = w.send()
		default:
			moved = w.receive() + w.send()
		}
		w.Polls++
		if moved > 0 {
			idle = 0
			w.last = time.Now()
			if w.first.IsZero() {
				w.first = w.last
			}
			continue
		}
		w.EmptyPoll++
		if idle++; idle < idleSleep {
			runtime.Gosched()
		} else {
			time.Sleep(20 * time.Microsecond)
		}
	}
	if opt.mode == "receive" || opt.mode == "both" {
		w.drain()
	}
}

// drain takes what lies in the ring still: it has been sent before the end.
func (w *worker) drain() {
	for n := 0; n < ringBursts && w.receive() > 0; n++ {
	}
}

// read returns the next packet, nil when there is none.
func (w *worker) read() []byte {
	if w.rx == nil {
		return nil
	}
	n, err := w.rx.ReadPacket(w.buf)
	if err != nil {
		w.RxErrors++
		w.complain(err.Error())
		return nil
	}
	if n == 0 {
		return nil
	}
	w.Received++
	if w.Received == w.port.opt.expect {
		fmt.Println("memif-go: complete")
	}
	return w.buf[:n]
}

func (w *worker) write(pkt []byte) bool {
	if w.tx == nil || w.tx.WritePacket(pkt) == 0 {
		return false
	}
	w.Sent++
	return true
}

func (w *worker) receive() int {
	for n := 0; n < burst; n++ {
		pkt := w.read()
		if pkt == nil {
			return n
		}
		if w.port.opt.check {
			w.check(pkt)
		}
	}
	return burst
}

func (w *worker) check(pkt []byte) {
	info, err := checkPacket(pkt)
	if err != nil {
		w.Bad++
		w.complain(fmt.Sprintf("packet %d of %d bytes: %v", w.Received, len(pkt), err))
		return
	}
	next := &w.next[info.queue%maxQueues]
	if info.seq < *next {
		w.Repeated++
		w.complain(fmt.Sprintf("number %d came after %d", info.seq, *next-1))
		return
	}
	w.Lost += info.seq - *next
	*next = info.seq + 1
}

func (w *worker) send() int {
	opt := w.port.opt
	for n := 0; n < burst; n++ {
		if w.Sent == opt.count {
			return n
		}
		if !w.outReady {
			if opt.check || w.Sent == 0 {
				writePacket(w.out, packetInfo{opt.seed, uint16(w.number), w.Sent})
			}
			w.outReady = true
		}
		if !w.write(w.out) {
			return n
		}
		w.outReady = false
	}
	return burst
}

// echo keeps what cannot go out yet: the rest waits in the ring.
func (w *worker) echo() int {
	for n := 0; n < burst; n++ {
		if !w.outReady {
			pkt := w.read()
			if pkt == nil {
				return n
			}
			if w.port.opt.mode == "reflect" && !reflect(pkt, w.port.opt.mark) {
				w.Bad++
				continue
			}
			w.out = pkt
			w.outReady = true
		}
		if !w.write(w.out) {
			return n
		}
		w.outReady = false
	}
	return burst
}

func (w *worker) complain(text string) {
	if w.problem == "" {
		w.problem = text
		fmt.Fprintf(os.Stderr, "memif-go: port %d queue %d: %s\n", w.port.id, w.number, text)
	}
}

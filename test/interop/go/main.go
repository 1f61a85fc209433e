// SPDX-License-Identifier: BSD-3-Clause

// memif-go is a peer on govpp's gomemif, or on zmemif, for the interoperability tests: it echoes, receives and
// sends the packets of mif-traffic. It runs until a line or the end of stdin, or SIGTERM, and then
// prints its counters as one line of JSON.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

type options struct {
	socket string
	server bool
	id     int
	ports  int
	queues int
	rsize  int
	bsize  int
	mode   string
	count  uint64
	expect uint64
	size   int
	seed   uint32
	mark   int
	check  bool
}

func parseOptions() *options {
	opt := &options{}
	role := flag.String("role", "server", "server or client")
	flag.StringVar(&opt.socket, "socket", "", "path of the control socket")
	flag.IntVar(&opt.id, "id", 0, "id of the first port")
	flag.IntVar(&opt.ports, "ports", 1, "ports on the socket, with ids one after the other")
	flag.IntVar(&opt.queues, "queues", 1, "pairs of queues per port")
	flag.IntVar(&opt.rsize, "rsize", 10, "log2 of the ring size (client)")
	flag.IntVar(&opt.bsize, "bsize", 2048, "bytes of a buffer (client)")
	flag.StringVar(&opt.mode, "mode", "echo", "echo, reflect (UDP turned round), receive, send, both")
	flag.Uint64Var(&opt.count, "count", 10000, "packets to send per queue and connection")
	flag.Uint64Var(&opt.expect, "expect", 0, "say so when a queue has received so many")
	flag.IntVar(&opt.size, "size", 64, "bytes of a packet to send")
	flag.IntVar(&opt.mark, "mark", 0, "what reflect writes into the first byte of the payload")
	seed := flag.Uint("seed", 3, "names this sender in its packets")
	flag.BoolVar(&opt.check, "check", true, "number, sum and verify packets; else only count")
	flag.Parse()
	opt.seed = uint32(*seed)
	opt.server = *role == "server"
	known := map[string]bool{"echo": true, "reflect": true, "receive": true, "send": true, "both": true}
	if opt.socket == "" || !known[opt.mode] || (!opt.server && *role != "client") ||
		flag.NArg() > 0 || opt.size < minLen || opt.queues < 1 || opt.queues > maxQueues {
		flag.Usage()
		os.Exit(2)
	}
	return opt
}

// result is what is printed at the end.
type result struct {
	counters
	Library     string     `json:"library"`
	Connections int64      `json:"connections"`
	Seconds     float64    `json:"seconds"` // the longest time that a queue moved packets
	ByQueue     []counters `json:"by_queue"`
	Problems    []string   `json:"problems"`
}

func (p *peer) result() *result {
	r := &result{Library: libraryName, ByQueue: make([]counters, p.opt.queues), Problems: []string{}}
	for _, one := range p.ports {
		r.Connections += one.connections.Load()
		for _, w := range one.finished {
			r.counters.add(&w.counters)
			r.ByQueue[w.number].add(&w.counters)
			if seconds := w.last.Sub(w.first).Seconds(); seconds > r.Seconds {
				r.Seconds = seconds
			}
			if w.problem != "" {
				r.Problems = append(r.Problems, w.problem)
			}
		}
	}
	return r
}

// waitForEnd returns when somebody wants us to end.
func waitForEnd() {
	end := make(chan struct{})
	go func() {
		bufio.NewReader(os.Stdin).ReadString('\n')
		close(end)
	}()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	select {
	case <-end:
	case <-signals:
	}
}

func main() {
	opt := parseOptions()
	p, err := newPeer(opt)
	if err != nil {
		fmt.Fprintf(os.Stderr, "memif-go: %v\n", err)
		os.Exit(1)
	}
	fmt.Println("memif-go: started")
	done := make(chan struct{})
	if !opt.server {
		go p.connect(done)
	}
	waitForEnd()
	close(done)
	p.close()
	line, err := json.Marshal(p.result())
	if err != nil {
		fmt.Fprintf(os.Stderr, "memif-go: %v\n", err)
		os.Exit(1)
	}
	fmt.Println(string(line))
}

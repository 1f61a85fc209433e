# SPDX-License-Identifier: BSD-3-Clause
"""
A host with several UDP flows to one that echoes: udpflows.py ADDRESS FLOWS RATE. Each flow sends
RATE numbered packets a second until a line comes in; then it waits for late echoes and prints what
it sent and what came back, with times of CLOCK_MONOTONIC.
"""

import json
import selectors
import socket
import struct
import sys
import time

# A mark that the echoing program writes, and the number.
PACKET = struct.Struct("!BxxxQ")
PORT = 5000
LATE = 1.0


def receive_all(sock: socket.socket, echoes: list) -> None:
    while True:
        try:
            data = sock.recv(2048)
        except BlockingIOError:
            return
        except ConnectionRefusedError:
            continue
        mark, number = PACKET.unpack_from(data)
        echoes.append((time.monotonic(), number, mark))


def main() -> None:
    address, flows, rate = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    selector = selectors.DefaultSelector()
    selector.register(sys.stdin, selectors.EVENT_READ, None)
    socks, echoes = [], []
    for flow in range(flows):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("", 20000 + flow))
        sock.connect((address, PORT))
        sock.setblocking(False)
        socks.append(sock)
        echoes.append([])
        selector.register(sock, selectors.EVENT_READ, echoes[flow])
    print("started", flush=True)
    number, end = 0, None
    due = time.monotonic()
    while end is None or time.monotonic() < end:
        now = time.monotonic()
        if end is None and now >= due:
            for sock in socks:
                sock.send(PACKET.pack(0, number) + bytes(40))
            number += 1
            due = max(due + 1 / rate, now - 0.1)
        for key, _ in selector.select(max(0, min(due, now + 0.05) - now) if end is None else 0.05):
            if key.fileobj is sys.stdin:
                selector.unregister(sys.stdin)
                end = time.monotonic() + LATE
            else:
                receive_all(key.fileobj, key.data)
    print(json.dumps({"sent": number, "echoes": echoes}))


main()

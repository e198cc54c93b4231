"""A bare relay: each datagram from anywhere goes to one address, as it is. What forwarding costs before anything is done to a packet.

    python -m benchmarks.relay HOST PORT      # prints its own port, ends with its standard input
"""

from __future__ import annotations

import select
import socket
import sys

MAX_DATAGRAM = 2048


def main() -> None:
    target = (sys.argv[1], int(sys.argv[2]))
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    sock.bind(("127.0.0.1", 0))
    print(sock.getsockname()[1], flush=True)
    epoll = select.epoll()
    epoll.register(sock, select.EPOLLIN)
    epoll.register(sys.stdin, select.EPOLLIN)
    while True:
        for fileno, _ in epoll.poll():
            if fileno == sys.stdin.fileno():
                return
            while True:
                try:
                    data = sock.recv(MAX_DATAGRAM)
                except BlockingIOError:
                    break
                sock.sendto(data, target)


if __name__ == "__main__":
    main()

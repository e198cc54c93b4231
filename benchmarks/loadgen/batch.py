"""recvmmsg(2) by cffi: a socket's waiting datagrams in one call, with the moment the kernel took each in. Linux, 64 bit."""

from __future__ import annotations

import socket
import struct

import cffi

SLOTS = 64
SLOT_BYTES = 2048
CONTROL_BYTES = 32  # cmsghdr 16 and timespec 16: what the kernel writes back, so that it need not be set again
SO_TIMESTAMPNS = 35  # asm-generic/socket.h
TIMESPEC = struct.Struct("@16xqq")

_ffi = cffi.FFI()
_ffi.cdef(
    """
    struct iovec { void *iov_base; size_t iov_len; };
    struct msghdr { void *msg_name; unsigned int msg_namelen; struct iovec *msg_iov; size_t msg_iovlen;
                    void *msg_control; size_t msg_controllen; int msg_flags; };
    struct mmsghdr { struct msghdr msg_hdr; unsigned int msg_len; };
    int recvmmsg(int sockfd, struct mmsghdr *msgvec, unsigned int vlen, int flags, void *timeout);
    """
)
_libc = _ffi.dlopen(None)
_data = _ffi.new("char[]", SLOTS * SLOT_BYTES)
_control = _ffi.new("char[]", SLOTS * CONTROL_BYTES)
_vectors = _ffi.new("struct iovec[]", SLOTS)
_messages = _ffi.new("struct mmsghdr[]", SLOTS)
for _index in range(SLOTS):
    _vectors[_index].iov_base = _data + _index * SLOT_BYTES
    _vectors[_index].iov_len = SLOT_BYTES
    _header = _messages[_index].msg_hdr
    _header.msg_iov = _vectors + _index
    _header.msg_iovlen = 1
    _header.msg_control = _control + _index * CONTROL_BYTES
    _header.msg_controllen = CONTROL_BYTES

data = _ffi.buffer(_data)
"""All slots, `SLOT_BYTES` apart; shared by all sockets of the process and valid until the next `receive`."""
_control_buffer = _ffi.buffer(_control)
_recvmmsg = _libc.recvmmsg


def prepare(sock: socket.socket) -> None:
    """Have the kernel stamp what arrives."""
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)


def receive(fileno: int) -> int:
    """How many slots were filled; -1 if nothing waits."""
    return _recvmmsg(fileno, _messages, SLOTS, socket.MSG_DONTWAIT, _ffi.NULL)


def datagram(slot: int) -> bytes:
    start = slot * SLOT_BYTES
    return data[start : start + _messages[slot].msg_len]


def arrival_ns(slot: int) -> int:
    """Nanoseconds since 1970."""
    seconds, nanoseconds = TIMESPEC.unpack_from(_control_buffer, slot * CONTROL_BYTES)
    return seconds * 1_000_000_000 + nanoseconds

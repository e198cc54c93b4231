"""RTMP servers that are ours: one that records what a publisher says, and ones that behave badly.

The server's side of the conversation is written out here, apart from `rtmp.session`: only chunks and AMF0 are shared, and those
are held against nginx (`rtmp_nginx`).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from rtmp import messages
from rtmp.chunk import ChunkParser, ChunkSerializer, Message
from rtmp.messages import Command

SERVER_RANDOM = bytes(1536)
START = {"level": "status", "code": "NetStream.Publish.Start", "description": "Start publishing"}
BAD_NAME = {"level": "error", "code": "NetStream.Publish.BadName", "description": "Already publishing"}

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def serve(handler: Handler, *, tls: ssl.SSLContext | None = None, port: int = 0) -> AsyncIterator[int]:
    """The port of a server that hands each connection to `handler`; connections end with the block."""
    tasks: set[asyncio.Task[Any]] = set()
    over = False

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await handler(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # publishers hang up as they like
        except asyncio.CancelledError:
            if not over:  # Python 3.11's streams call a cancelled handler an error
                raise
        finally:
            tasks.discard(task)
            writer.transport.abort()

    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(
        socket.SOL_SOCKET, socket.SO_RCVBUF, 32768
    )  # what a target that stops reading swallows before it shows
    sock.bind(("127.0.0.1", port))
    server = await asyncio.start_server(handle, sock=sock, ssl=tls, limit=1 << 16)
    try:
        yield sock.getsockname()[1]
    finally:
        over = True
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Recorded:
    """One publisher: what it said, in order."""

    def __init__(self) -> None:
        self.said: list[Command | Message] = []
        self.ended = asyncio.Event()
        self.changed = asyncio.Condition()
        self.clean = False  # it closed; no reset

    @property
    def commands(self) -> list[str]:
        return [item.name for item in self.said if isinstance(item, Command)]

    @property
    def media(self) -> list[Message]:
        return [item for item in self.said if isinstance(item, Message) and item.type_id in (8, 9, 18)]

    def control(self, type_id: int) -> list[Message]:
        return [item for item in self.said if isinstance(item, Message) and item.type_id == type_id]

    async def until(self, condition: Callable[[Recorded], bool], timeout: float = 10.0) -> None:
        async with asyncio.timeout(timeout), self.changed:
            await self.changed.wait_for(lambda: condition(self))


class RtmpServer:
    """Answers as servers do. `answers` replaces what it says to a command: a list of commands, [] for nothing."""

    def __init__(self, answers: dict[str, list[Command]] | None = None) -> None:
        self.connections: list[Recorded] = []
        self.answers = answers or {}
        self.greeting: list[Message] = [
            messages.serialize(messages.WindowAckSize(20_000)),
            messages.serialize(messages.SetPeerBandwidth(20_000, 2)),
            messages.set_chunk_size(4000),
        ]
        self.after: Callable[[Recorded, asyncio.StreamWriter], Awaitable[None]] | None = None
        self.connected = asyncio.Condition()

    def answer(self, command: Command) -> list[Command]:
        return self.answers.get(command.name, usual_answer(command))

    async def connection(self, index: int = -1, *, count: int = 1, timeout: float = 10.0) -> Recorded:
        """Waits until there were `count` connections."""
        async with asyncio.timeout(timeout), self.connected:
            await self.connected.wait_for(lambda: len(self.connections) >= count)
        return self.connections[index]

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        recorded = Recorded()
        self.connections.append(recorded)
        async with self.connected:
            self.connected.notify_all()
        try:
            await self._handshake(reader, writer)
            await self._talk(recorded, reader, writer)
        except asyncio.IncompleteReadError:
            recorded.clean = True
        finally:
            recorded.ended.set()
            async with recorded.changed:
                recorded.changed.notify_all()

    async def _handshake(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        c0c1 = await reader.readexactly(1537)
        assert c0c1[0] == 3
        writer.write(b"\x03" + SERVER_RANDOM + c0c1[1:])
        assert (await reader.readexactly(1536))[8:] == SERVER_RANDOM[8:]

    async def _talk(self, recorded: Recorded, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        parser, serializer = ChunkParser(max_message_bytes=8 << 20), ChunkSerializer()

        def say(message: Message) -> None:
            csid = messages.CSID_COMMAND if message.type_id == messages.COMMAND_AMF0 else messages.CSID_CONTROL
            writer.write(b"".join(serializer.serialize(csid, message)))

        for message in self.greeting:
            say(message)
        while data := await reader.read(65536):
            for message in parser.receive_data(data):
                parsed = messages.parse(message)
                recorded.said.append(parsed if isinstance(parsed, Command) else message)
                if isinstance(parsed, Command):
                    for answer in self.answer(parsed):
                        say(messages.serialize(answer))
            async with recorded.changed:
                recorded.changed.notify_all()
            if self.after is not None:
                await self.after(recorded, writer)
        recorded.clean = True


def usual_answer(command: Command) -> list[Command]:
    if command.name == "connect":
        status = {"level": "status", "code": "NetConnection.Connect.Success"}
        return [
            Command("_result", command.transaction_id, ({"fmsVer": "FMS/3,0,1,123"}, status)),
            Command("onBWDone", 0, (None,)),
        ]
    if command.name in ("releaseStream", "FCPublish"):  # as servers that do not know them
        return [
            Command("_error", command.transaction_id, (None, {"level": "error", "code": "NetConnection.Call.Failed"}))
        ]
    if command.name == "createStream":
        return [Command("_result", command.transaction_id, (None, 1))]
    if command.name == "publish":
        return [Command("onStatus", 0, (None, START), command.stream_id)]
    return []


def status(info: dict[str, Any], stream_id: int = 1) -> list[Command]:
    return [Command("onStatus", 0, (None, info), stream_id)]


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accepts, reads, never answers."""
    while await reader.read(65536):
        pass


async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Speaks, but no RTMP."""
    writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    await reader.read()


async def garbage_after_handshake(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readexactly(1537)
    writer.write(b"\x03" + bytes(3072) + b"\xc3" * 5000)
    await reader.read()


async def slow_drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The handshake, a byte at a time, for ever."""
    while True:
        writer.write(b"\x03")
        await asyncio.sleep(0.02)

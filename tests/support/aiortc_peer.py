"""A WHIP publisher and a WHEP player made of aiortc: real media, decoded, by code that is not ours."""

from __future__ import annotations

import asyncio
import fractions

import aiohttp
import av
import numpy
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack

COLOURS = {"red": (81, 90, 240), "green": (145, 54, 34)}  # Y, U, V


class ColourTrack(VideoStreamTrack):
    """One colour, with a bar that moves so that the encoder has something to do."""

    def __init__(self, colour: str, width: int = 320, height: int = 240) -> None:
        super().__init__()
        self.sent = 0
        self._colour, self._width, self._height = COLOURS[colour], width, height

    async def recv(self) -> av.VideoFrame:
        pts, time_base = await self.next_timestamp()
        frame = av.VideoFrame(self._width, self._height, "yuv420p")
        for plane, value in zip(frame.planes, self._colour, strict=True):
            pixels = numpy.full((plane.height, plane.line_size), value, numpy.uint8)
            if plane.line_size >= self._width:
                pixels[:, (self.sent * 4) % self._width] = 235
            plane.update(pixels.tobytes())
        frame.pts, frame.time_base = pts, time_base
        self.sent += 1
        return frame


class ToneTrack(AudioStreamTrack):
    """440 Hz, 48 kHz mono."""

    async def recv(self) -> av.AudioFrame:
        if not hasattr(self, "_position"):
            self._position, self._start = 0, asyncio.get_running_loop().time()
        await asyncio.sleep(max(0.0, self._start + self._position / 48000 - asyncio.get_running_loop().time()))
        times = numpy.arange(self._position, self._position + 960) / 48000
        samples = (numpy.sin(2 * numpy.pi * 440 * times) * 12000).astype(numpy.int16)
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, self._position, fractions.Fraction(1, 48000)
        self._position += 960
        return frame


class HttpPeer:
    """What WHIP and WHEP share: an offer by POST, an end by DELETE."""

    def __init__(self, http: aiohttp.ClientSession, url: str, token: str = "") -> None:
        self.pc = RTCPeerConnection()
        self.http, self.url = http, url
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.location = ""
        self.response: aiohttp.ClientResponse | None = None

    async def connect(self) -> None:
        await self.pc.setLocalDescription(await self.pc.createOffer())
        headers = {**self.headers, "Content-Type": "application/sdp"}
        async with self.http.post(self.url, data=self.pc.localDescription.sdp, headers=headers) as response:
            self.response = response
            text = await response.text()
            if response.status != 201:
                raise AssertionError(f"{response.status}: {text}")
            self.location = response.headers["Location"]
        await self.pc.setRemoteDescription(RTCSessionDescription(text, "answer"))

    async def delete(self) -> int:
        async with self.http.delete(self.location, headers=self.headers) as response:
            return response.status

    async def close(self) -> None:
        await self.pc.close()


class Publisher(HttpPeer):
    def publish(self, *tracks: MediaStreamTrack, prefer: str | None = None) -> None:
        """`prefer`: the codec to offer alone for video, "H264" or "VP8"."""
        for track in tracks:
            transceiver = self.pc.addTransceiver(track, direction="sendonly")
            if prefer and track.kind == "video":
                from aiortc import RTCRtpSender

                codecs = RTCRtpSender.getCapabilities("video").codecs
                transceiver.setCodecPreferences([c for c in codecs if c.name in (prefer, "rtx")])


class Player(HttpPeer):
    """Counts what it decodes; `colour` is the mean (Y, U, V) of the last picture."""

    def __init__(self, http: aiohttp.ClientSession, url: str, token: str = "", kinds: tuple[str, ...] = ("audio", "video")) -> None:
        super().__init__(http, url, token)
        self.frames = {"audio": 0, "video": 0}
        self.size = (0, 0)
        self.colour = (0, 0, 0)
        self.energy = 0.0
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task] = []
        for kind in kinds:
            self.pc.addTransceiver(kind, direction="recvonly")
        self.pc.on("track", self._on_track)

    def _on_track(self, track: MediaStreamTrack) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(self._read(track)))

    async def _read(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except Exception:
                return
            self.frames[track.kind] += 1
            if track.kind == "video":
                self.size = (frame.width, frame.height)
                planes = frame.reformat(format="yuv420p").planes
                self.colour = tuple(int(numpy.median(numpy.frombuffer(bytes(p), numpy.uint8))) for p in planes)
            else:
                self.energy += float(numpy.abs(frame.to_ndarray().astype(float)).mean())
            self._changed.set()

    async def wait_for(self, kind: str, count: int, seconds: float = 20.0) -> None:
        """Until `count` more frames were decoded."""
        goal = self.frames[kind] + count
        async with asyncio.timeout(seconds):
            while self.frames[kind] < goal:
                self._changed.clear()
                await self._changed.wait()

    async def close(self) -> None:
        await super().close()
        for task in self._tasks:
            task.cancel()

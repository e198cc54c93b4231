"""`Transport` against aiortc's ICE and DTLS, over a real socket on loopback: another's idea of the same documents."""

from __future__ import annotations

import asyncio

import pytest
from aioice.candidate import Candidate
from aiortc import (
    RTCCertificate,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
    RTCIceGatherer,
    RTCIceParameters,
    RTCIceTransport,
)
from aiortc.rtcicetransport import candidate_from_aioice

from media.drops import DropCounts
from sfu.config import SfuConfig
from sfu.ice.candidate import host_candidates
from sfu.transport import Transport, TransportClosed, TransportConnected
from tests.support.transport_pair import PWD, SERVER_CONTEXT, UFRAG, RecordingSink, rtcp, rtp


class Shell(asyncio.DatagramProtocol):
    """The least shell: one input, then everything that came of it."""

    def __init__(self) -> None:
        self.dirty: list[Transport] = []
        self.drops = DropCounts()
        self.sink = RecordingSink()
        self.events: asyncio.Queue[object] = asyncio.Queue()
        self.loop = asyncio.get_running_loop()
        self.core = Transport(
            SfuConfig(),
            SERVER_CONTEXT,
            local_ufrag=UFRAG,
            local_pwd=PWD,
            sink=self.sink,
            drops=self.drops,
            dirty=self.dirty,
            now=self.loop.time(),
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.udp = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.core.receive_datagram(data, (*addr, "127.0.0.1"), now=self.loop.time())
        self.pump()

    def pump(self) -> None:
        for core in self.dirty:
            for data, path in core.control_to_send():
                self.udp.sendto(data, path[:2])
            selected = core.selected
            for data in core.take_outgoing():
                self.udp.sendto(data, selected[:2])
        self.dirty.clear()
        while (event := self.core.next_event()) is not None:
            self.events.put_nowait(event)


async def test_aiortc_connects_and_talks(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])
    udp, shell = await asyncio.get_running_loop().create_datagram_endpoint(Shell, local_addr=("127.0.0.1", 0))
    gatherer = RTCIceGatherer(iceServers=[])
    ice = RTCIceTransport(gatherer)
    dtls = RTCDtlsTransport(ice, [RTCCertificate.generateCertificate()])
    received: asyncio.Queue[bytes] = asyncio.Queue()

    async def receive(data: bytes, **_: object) -> None:
        received.put_nowait(data)

    monkeypatch.setattr(dtls, "_handle_rtp_data", receive)
    monkeypatch.setattr(dtls, "_handle_rtcp_data", receive)
    try:
        await gatherer.gather()
        ice._connection.ice_controlling = True
        local = gatherer.getLocalParameters()
        fingerprints = tuple((f.algorithm, f.value) for f in dtls.getLocalParameters().fingerprints)
        shell.core.set_remote(local.usernameFragment, local.password, fingerprints)
        (line,) = host_candidates(["127.0.0.1"], udp.get_extra_info("sockname")[1])
        await ice.addRemoteCandidate(candidate_from_aioice(Candidate.from_sdp(line)))
        await ice.addRemoteCandidate(None)
        await ice.start(RTCIceParameters(usernameFragment=UFRAG, password=PWD, iceLite=True))
        dtls._set_role("client")
        ours = RTCDtlsFingerprint(algorithm="sha-256", value=SERVER_CONTEXT.certificate.fingerprint_sha256)
        await dtls.start(RTCDtlsParameters(fingerprints=[ours]))
        assert dtls.state == "connected"
        assert await shell.events.get() == TransportConnected()
        assert shell.core.selected is not None and shell.core.selected[0] == "127.0.0.1"

        shell.core.send_rtp(rtp(1))
        shell.core.send_rtcp(rtcp())
        shell.pump()
        assert [await received.get(), await received.get()] == [rtp(1), rtcp()]

        await dtls._send_rtp(rtp(2))
        await dtls._send_rtp(rtcp(ssrc=9))
        await dtls.stop()
        assert await shell.events.get() == TransportClosed()
        assert (shell.sink.rtp, shell.sink.rtcp) == ([rtp(2)], [rtcp(ssrc=9)])
        assert not any(shell.drops.counts.values())
    finally:
        await ice.stop()
        udp.close()

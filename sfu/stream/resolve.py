"""Whose packet is it: by SSRC once known; else by MID, RID or repaired RID, else by payload type. RFC 8843 section 9.2, RFC 8852."""

from __future__ import annotations

from typing import TYPE_CHECKING

from media.drops import DropReason
from sfu.rtp import extensions
from sfu.rtp.packet import RtpPacket
from sfu.stream.receive import RtpStreamRecv

TAKEOVER_SILENCE = 2.0  # so long must a stream have been silent before an SSRC that names nothing takes its place

if TYPE_CHECKING:
    from sfu.producer import Producer


class Binding:
    """What an SSRC stands for."""

    __slots__ = ("producer", "retransmission", "stream")

    def __init__(self, producer: Producer, stream: RtpStreamRecv, *, retransmission: bool) -> None:
        self.producer = producer
        self.stream = stream
        self.retransmission = retransmission


class StreamTable:
    """The SSRCs of one peer, named in its description or learned; at most `limit`, further ones are refused."""

    def __init__(self, limit: int) -> None:
        self.by_ssrc: dict[int, Binding] = {}
        self._limit = limit
        self._producers: list[Producer] = []
        self._ids: dict[str, int | None] = dict.fromkeys((extensions.MID, extensions.RID, extensions.REPAIRED_RID))
        # What each SSRC was called (MID, RID, repaired RID), also of tracks that ended: senders stop saying it once we have
        # reported on the SSRC, and go on without under the next track of the m-line. At most `limit`, the oldest go.
        self._names: dict[int, tuple[str | None, ...]] = {}

    def add(self, producer: Producer) -> None:
        """Bind the SSRCs that the description names."""
        self._producers.append(producer)
        for uri in self._ids:
            # RFC 8843 section 7.1.3: within a bundle one id means the same for every m-line.
            self._ids[uri] = producer.params.header_extensions.get(uri, self._ids[uri])
        for index, encoding in enumerate(producer.params.encodings):
            if encoding.ssrc is not None and len(self.by_ssrc) < self._limit:
                self._bind(producer, encoding.ssrc, encoding.rid, index, encoding.rtx_ssrc)
                self._remember(encoding.ssrc, (producer.params.mid, encoding.rid, None))
                if encoding.rtx_ssrc is not None:
                    self._remember(encoding.rtx_ssrc, (producer.params.mid, None, encoding.rid))

    def remove(self, producer: Producer) -> None:
        if producer in self._producers:
            self._producers.remove(producer)
        self.by_ssrc = {ssrc: binding for ssrc, binding in self.by_ssrc.items() if binding.producer is not producer}

    def _bind(self, producer: Producer, ssrc: int, rid: str | None, index: int, rtx_ssrc: int | None) -> Binding:
        stream, replaced = producer.add_stream(ssrc, rid=rid, index=index, rtx_ssrc=rtx_ssrc)
        if replaced is not None:
            self.by_ssrc = {key: item for key, item in self.by_ssrc.items() if item.stream is not replaced}
        binding = self.by_ssrc[ssrc] = Binding(producer, stream, retransmission=False)
        if rtx_ssrc is not None:
            self.by_ssrc[rtx_ssrc] = Binding(producer, stream, retransmission=True)
        return binding

    def learn(self, packet: RtpPacket) -> Binding | DropReason:
        """The binding of an SSRC seen for the first time, or why there is none."""
        mid, rid, repaired = self._name(packet)
        producer = self._find_producer(mid, rid or repaired, packet.payload_type)
        if producer is None:
            return DropReason.RTP_UNKNOWN_SSRC
        if packet.payload_type not in producer.payload_types:
            return DropReason.RTP_UNKNOWN_PAYLOAD_TYPE
        if len(self.by_ssrc) >= self._limit:
            return DropReason.RTP_SSRC_LIMIT
        if packet.payload_type in producer.retransmission_types:
            return self._learn_retransmission(producer, packet, repaired or rid)
        if rid is None and producer.params.simulcast:
            return DropReason.RTP_UNKNOWN_SSRC  # which of its encodings cannot be told
        if mid is None and rid is None and self._is_taken(producer, packet):
            return DropReason.RTP_UNKNOWN_SSRC
        if not producer.params.encodings:
            return self._bind(producer, packet.ssrc, rid, 0, None)
        for index, encoding in enumerate(producer.params.encodings):
            if encoding.rid == rid or not producer.params.simulcast:
                return self._bind(producer, packet.ssrc, rid, index, encoding.rtx_ssrc)
        return DropReason.RTP_UNKNOWN_SSRC

    def _learn_retransmission(self, producer: Producer, packet: RtpPacket, rid: str | None) -> Binding | DropReason:
        streams = producer.layers.streams
        if rid is not None:
            streams = [stream for stream in streams if stream.rid == rid]
        if len(streams) != 1:
            return DropReason.RTP_UNKNOWN_SSRC
        stream = streams[0]
        if stream.rtx_ssrc is not None:
            self.by_ssrc.pop(stream.rtx_ssrc, None)
        stream.rtx_ssrc = packet.ssrc
        binding = self.by_ssrc[packet.ssrc] = Binding(producer, stream, retransmission=True)
        return binding

    def _name(self, packet: RtpPacket) -> tuple[str | None, ...]:
        """MID, RID and repaired RID: as the packet says, else as its SSRC said before."""
        said = tuple(self._text(packet, uri) for uri in self._ids)
        before = self._names.get(packet.ssrc)
        if before is not None:
            said = tuple(now or then for now, then in zip(said, before, strict=True))
        if any(said):
            self._remember(packet.ssrc, said)
        return said

    def _remember(self, ssrc: int, names: tuple[str | None, ...]) -> None:
        self._names.pop(ssrc, None)
        self._names[ssrc] = names
        if len(self._names) > self._limit:
            del self._names[next(iter(self._names))]

    @staticmethod
    def _is_taken(producer: Producer, packet: RtpPacket) -> bool:
        """Whether the track gets packets: a stray SSRC of its payload type must not end that."""
        return any(
            stream.highest >= 0 and packet.arrival - stream.last_arrival < TAKEOVER_SILENCE
            for stream in producer.layers.streams
        )

    def _find_producer(self, mid: str | None, rid: str | None, payload_type: int) -> Producer | None:
        if mid is not None:
            return next((producer for producer in self._producers if producer.params.mid == mid), None)
        if rid is not None:
            fitting = [p for p in self._producers if any(encoding.rid == rid for encoding in p.params.encodings)]
        else:
            fitting = [p for p in self._producers if payload_type in p.payload_types]
        return fitting[0] if len(fitting) == 1 else None

    def _text(self, packet: RtpPacket, uri: str) -> str | None:
        wanted = self._ids[uri]
        for ident, start, end in packet.elements:
            if ident == wanted:
                try:
                    return packet.data[start:end].decode("ascii")
                except UnicodeDecodeError:
                    return None
        return None

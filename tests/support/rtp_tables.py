"""Wire bytes and what they mean, one table for parsing, serializing and as seeds of the fuzz tests."""

from __future__ import annotations

from sfu.rtp.feedback import Fir, Nack, Pli, Remb
from sfu.rtp.reports import Bye, ExtendedReport, ReceiverReport, ReportBlock, SenderReport, SourceDescription
from sfu.rtp.twcc import TransportFeedback

# Each line: a whole RTCP packet and its one message. Written by hand from the documents' diagrams.
RTCP_TABLE: list[tuple[str, object]] = [
    ("80c90001 11223344", ReceiverReport(0x11223344)),
    (
        "81c90007 11223344 aabbccdd 40fffffe 00012345 00000007 89abcdef 00010000",
        ReceiverReport(0x11223344, [ReportBlock(0xAABBCCDD, 64, -2, 0x12345, 7, 0x89ABCDEF, 65536)]),
    ),
    (
        "80c80006 00000001 e000000080000000 00015f90 00000064 00002710",
        SenderReport(1, 0xE000000080000000, 90000, 100, 10000),
    ),
    ("81ca0003 00000001 0103 616c6900 0000", SourceDescription([(1, [(1, b"ali")])])),
    ("81ca0002 00000001 00000000", SourceDescription([(1, [])])),
    ("81cb0001 00000001", Bye([1])),
    ("82cb0004 00000001 00000002 06 6c656176652e 00", Bye([1, 2], b"leave.")),
    ("80cf0004 00000001 04000002 e000000080000000", ExtendedReport(1, rrtr=0xE000000080000000)),
    ("80cf0005 00000001 05000003 00000002 11112222 00008000", ExtendedReport(1, dlrr=[(2, 0x11112222, 0x8000)])),
    ("81cd0003 00000001 00000002 fffe 0005", Nack(1, 2, [0xFFFE, 0xFFFF, 1])),
    ("81cd0004 00000001 00000002 0001 8000 0064 0000", Nack(1, 2, [1, 17, 100])),
    ("81ce0002 00000001 00000002", Pli(1, 2)),
    ("84ce0004 00000001 00000000 00000002 07000000", Fir(1, [(2, 7)])),
    ("8fce0005 00000001 00000000 52454d42 010bffff 00000002", Remb(1, 0x3FFFF << 2, [2])),
    # two small deltas, one not received, one large
    (
        "8fcd0006 00000001 00000002 ffff0004 00000a03 d480 10 20 0100 0000",
        TransportFeedback(1, 2, 0xFFFF, 10, 3, [16, 32, None, 256]),
    ),
    (
        "8fcd0006 00000001 00000002 00000003 ffffff00 2003 000102 000000",
        TransportFeedback(1, 2, 0, 0xFFFFFF, 0, [0, 1, 2]),
    ),
    ("8fcd0005 00000001 00000002 00001fff 00000000 1fff 0000", TransportFeedback(1, 2, 0, 0, 0, [None] * 8191)),
]


def from_hex(text: str) -> bytes:
    return bytes.fromhex(text.replace(" ", ""))

"""What the benchmark of media workers feeds and reads is what it says."""

from __future__ import annotations

import av

from benchmarks.workers_lag import CLIP, Camera, bound_of, make_clip
from sfu.compose import messages
from sfu.rtp import packet
from sfu.rtp.compound import parse_compound
from sfu.rtp.reports import SenderReport
from tests.support.rtp_peers import Wire


class Recorder:
    def __init__(self) -> None:
        self.link = Wire()
        self.controls: list[object] = []

    def send(self, control: object) -> None:
        self.controls.append(control)


def test_a_cameras_packets_are_a_video_that_decodes():
    worker, clip = Recorder(), make_clip(160, 90)
    assert len(clip) == CLIP
    camera = Camera(worker, 0, clip)
    assert [type(control) for control in worker.controls] == [messages.PersonJoined, messages.SourceAdded]
    sent = sum(camera.send(count) for count in range(35))
    packets = [packet.parse(data) for data in worker.link.rtp]
    assert len(packets) == sent and [item.sequence_number for item in packets] == list(range(sent))
    assert len({item.timestamp for item in packets}) == sum(item.marker for item in packets) == 35
    reports = [message for data in worker.link.rtcp for message in parse_compound(data)]
    assert [type(report) for report in reports] == [SenderReport, SenderReport]
    decoder, frames, data = av.CodecContext.create("vp8", "r"), 0, b""
    for item in packets:
        data += item.payload[1:]
        if item.marker:
            frames += len(decoder.decode(av.Packet(data)))
            data = b""
    assert frames == 35


def test_the_quantile_of_a_histogram_counts_what_came_between():
    before = {0.001: 100, 0.01: 100, float("inf"): 100}
    assert bound_of(before, {0.001: 199, 0.01: 200, float("inf"): 200}, 0.99) == 0.001
    assert bound_of(before, {0.001: 198, 0.01: 200, float("inf"): 200}, 0.99) == 0.01
    assert bound_of({}, {0.001: 0, 0.01: 0, float("inf"): 5}, 0.5) == float("inf")

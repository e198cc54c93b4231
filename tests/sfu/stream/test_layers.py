from __future__ import annotations

from sfu.config import SfuConfig
from sfu.stream.layers import CHECK_INTERVAL, LAYER_SILENCE, LayerSelector
from sfu.stream.receive import RtpStreamRecv


def stream(index: int, rid: str) -> RtpStreamRecv:
    return RtpStreamRecv(100 + index, SfuConfig(), rid=rid, index=index)


def make():
    layers = LayerSelector()
    low, high = stream(0, "q"), stream(1, "h")
    layers.add(low)
    layers.add(high)
    return layers, low, high


def test_the_highest_that_sends_is_the_target():
    layers, low, high = make()
    assert layers.receive(low, now=0.0) and layers.target is low
    assert layers.receive(high, now=0.1) and layers.target is high
    assert layers.sending_rids() == ("q", "h")
    assert not layers.receive(low, now=0.2)


def test_what_stops_is_left_while_another_goes_on():
    layers, low, high = make()
    layers.receive(low, now=0.0)
    layers.receive(high, now=0.0)
    high.last_arrival = 1.0
    low.last_arrival = 1.0 + LAYER_SILENCE
    assert layers.handle_timer(now=3.0) == (False, False)
    low.last_arrival += 0.1
    assert layers.handle_timer(now=3.0 + CHECK_INTERVAL / 2) == (False, False)  # not yet time to look
    assert layers.handle_timer(now=3.0 + CHECK_INTERVAL) == (True, True)
    assert layers.target is low and layers.sending_rids() == ("q",)
    assert layers.receive(high, now=4.0) and layers.target is high


def test_where_everything_rests_nothing_changes():
    layers, low, high = make()
    layers.receive(low, now=0.0)
    layers.receive(high, now=0.0)
    low.last_arrival = high.last_arrival = 0.5
    assert layers.handle_timer(now=50.0) == (False, False)
    assert layers.target is high


def test_heights_tell_better_than_the_order_of_encodings():
    layers, low, high = make()
    low.height, high.height = 720, 180  # a publisher that lists its best first
    layers.receive(low, now=0.0)
    assert not layers.receive(high, now=0.0)
    assert layers.target is low


def test_the_first_keyframe_of_the_highest_makes_it_the_target():
    layers, low, high = make()
    layers.receive(low, now=0.0)
    low.height = 360
    assert not layers.receive(high, now=0.1)  # nothing is known of it yet
    high.height = 720
    assert layers.resize() and layers.target is high
    assert not layers.resize()


def test_a_new_stream_of_an_encoding_replaces_the_old():
    layers, low, _ = make()
    layers.receive(low, now=0.0)
    newer = stream(0, "q")
    assert layers.add(newer) is low
    assert len(layers.streams) == 2
    assert layers.receive(newer, now=1.0) and layers.target is newer


def test_goodbye_counts_at_once():
    layers, low, high = make()
    layers.receive(low, now=0.0)
    layers.receive(high, now=0.0)
    assert layers.stop(high) and layers.target is low

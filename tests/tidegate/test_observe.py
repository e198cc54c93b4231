"""/metrics: what it says after real media went through the whole node."""

from __future__ import annotations

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from media.drops import DropReason
from tests.support.aiortc_peer import ColourTrack, Player, Publisher
from tests.support.node import running_node

pytestmark = pytest.mark.slow


async def read_metrics(site):
    """Sample name and labels -> value."""
    text = await site.call("GET", "/metrics", token=None)
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    found = {(sample.name, *sorted(sample.labels.items())): sample.value for sample in samples}
    assert len(found) == len(samples), "a sample stands there twice"
    return found


def of(metrics, name, **labels):
    return metrics[(name, *sorted(labels.items()))]


def check_histogram(metrics, name):
    """Buckets that grow to the count, and a sum that fits them; returns the count."""
    buckets = sorted((float(key[1][1]), value) for key, value in metrics.items() if key[0] == f"{name}_bucket")
    assert buckets[-1][0] == float("inf") and buckets[-1][1] == of(metrics, f"{name}_count")
    counts = [count for _, count in buckets]
    assert counts == sorted(counts) and len(counts) > 3
    assert 0 <= of(metrics, f"{name}_sum") < 60 * max(counts[-1], 1)
    return counts[-1]


async def test_the_numbers_after_a_stream_was_forwarded(tmp_path):
    async with running_node(tmp_path) as site, aiohttp.ClientSession() as http:
        before = await read_metrics(site)
        assert of(before, "tidegate_rooms") == of(before, "tidegate_participants") == of(before, "tidegate_tracks") == 0
        await site.room()
        publisher = Publisher(http, f"{site.url}/v2/whip?roomId=standup&participantId=ann", site.token())
        publisher.publish(ColourTrack("red"))
        player = Player(http, f"{site.url}/v2/whep?roomId=standup", site.token(), kinds=("video",))
        try:
            await publisher.connect()
            await player.connect()
            await player.wait_for("video", 5)
            during = await read_metrics(site)
            await publisher.delete()
            await player.delete()
            after = await read_metrics(site)
        finally:
            await publisher.close()
            await player.close()

    assert (of(during, "tidegate_rooms"), of(during, "tidegate_participants"), of(during, "tidegate_tracks")) == (1, 2, 1)
    assert of(during, "tidegate_connections") == 2 and of(during, "tidegate_handshakes") == 0
    for direction in ("in", "out"):
        packets = of(during, "tidegate_rtp_packets_total", direction=direction)
        assert 5 <= packets * 12 < of(during, "tidegate_rtp_bytes_total", direction=direction) < packets * 1500
    assert of(during, "tidegate_pli_total", direction="out") >= 1  # the new subscriber's keyframe was asked for
    assert check_histogram(during, "tidegate_join_seconds") == 2
    assert check_histogram(during, "tidegate_forwarding_seconds") > 0
    check_histogram(during, "tidegate_loop_lag_seconds")
    reasons = {dict(key[1:])["reason"] for key in during if key[0] == "tidegate_drops_total"}
    assert reasons <= {reason.value for reason in DropReason}  # the label's values are a fixed few
    assert of(during, "process_cpu_seconds_total") > 0

    assert of(after, "tidegate_rooms") == of(after, "tidegate_participants") == of(after, "tidegate_tracks") == 0
    packets = [of(metrics, "tidegate_rtp_packets_total", direction="in") for metrics in (before, during, after)]
    assert packets == sorted(packets)  # a counter does not fall when those whom it counted leave


async def test_sockets_and_events_are_counted(tmp_path):
    async with running_node(tmp_path) as site, aiohttp.ClientSession() as http:
        await site.room()
        async with http.ws_connect(f"{site.url}/v2/signal") as socket:
            await socket.send_json({"id": 1, "method": "join", "params": {"token": site.token(), "roomId": "standup"}})
            assert "result" in await socket.receive_json(timeout=10)
            await site.node.recorder.flush()
            during = await read_metrics(site)
        refused = await http.ws_connect(f"{site.url}/v2/signal")
        await refused.send_str("not JSON")
        await refused.receive(timeout=10)
        await refused.close()
        after = await read_metrics(site)
    assert of(during, "tidegate_sockets") == 1
    assert of(during, "tidegate_sockets_results_total", result="joined") == 1
    assert of(during, "tidegate_signalling_messages_total", direction="in") == 1
    assert of(during, "tidegate_signalling_messages_total", direction="out") >= 1
    assert of(during, "tidegate_events_total") >= 2  # the session began, somebody joined
    assert of(after, "tidegate_sockets_results_total", result="errors") == 1
    assert all(value == 0 for key, value in after.items() if key[0] == "tidegate_events_lost_total")

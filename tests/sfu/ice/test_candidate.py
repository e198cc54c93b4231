from __future__ import annotations

import pytest
from aioice.candidate import Candidate

from sfu.ice.candidate import host_candidates


def test_lines_are_host_candidates_of_one_component():
    (line,) = host_candidates(["192.0.2.1"], 7882)
    candidate = Candidate.from_sdp(line.removeprefix("candidate:"))
    assert (candidate.component, candidate.transport, candidate.host, candidate.port) == (1, "udp", "192.0.2.1", 7882)
    assert candidate.type == "host"
    assert candidate.priority == 126 << 24 | 65535 << 8 | 255
    assert 1 <= len(candidate.foundation) <= 32


def test_families_take_turns_and_loopback_comes_last():
    lines = host_candidates(["127.0.0.1", "192.0.2.1", "192.0.2.2", "::1", "2001:db8::1"], 1)
    hosts = [Candidate.from_sdp(line.removeprefix("candidate:")).host for line in lines]
    assert hosts == ["2001:db8::1", "192.0.2.1", "192.0.2.2", "::1", "127.0.0.1"]
    priorities = [Candidate.from_sdp(line.removeprefix("candidate:")).priority for line in lines]
    assert priorities == sorted(set(priorities), reverse=True)


def test_equal_addresses_give_one_line():
    assert len(host_candidates(["::1", "0:0:0:0:0:0:0:1"], 1)) == 1


def test_no_addresses_no_lines():
    assert host_candidates([], 1) == ()


def test_a_name_is_refused():
    with pytest.raises(ValueError):
        host_candidates(["example.com"], 1)

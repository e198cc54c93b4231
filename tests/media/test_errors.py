from __future__ import annotations

import pytest

from media.errors import ConfigError, ParseError, PeerError, UsageError


def test_a_parse_error_is_a_value_error():
    with pytest.raises(ValueError):
        raise ParseError("short")


def test_a_peer_error_carries_the_answer_for_the_wire():
    error = PeerError(4005, "DUPLICATE_PARTICIPANT", "joined elsewhere")
    assert (error.code, error.name, error.reason) == (4005, "DUPLICATE_PARTICIPANT", "joined elsewhere")
    assert str(error) == "4005 DUPLICATE_PARTICIPANT: joined elsewhere"


def test_a_config_error_names_the_key():
    assert str(ConfigError("rtc.port", "must be 1..65535")) == "rtc.port: must be 1..65535"
    assert str(ConfigError("", "cannot read the file")) == "cannot read the file"


def test_faults_are_told_apart():
    kinds = (ParseError, PeerError, UsageError, ConfigError)
    assert not any(issubclass(a, b) for a in kinds for b in kinds if a is not b)

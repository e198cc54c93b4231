"""The one door to offer and answer: imported by `sfu/session.py`, written in the modules named here."""

from __future__ import annotations

from sfu.sdp.answer import parse_description, restarts_ice
from sfu.sdp.codecs import match_codecs
from sfu.sdp.negotiated import Encoding, LocalTransport, NegotiatedMedia, Negotiation, RemoteTransport
from sfu.sdp.play import PlaySource, answer_play
from sfu.sdp.publish import answer_publish
from sfu.sdp.subscribe import SubscribeTable, SubscribeTrack

__all__ = [
    "Encoding",
    "LocalTransport",
    "NegotiatedMedia",
    "Negotiation",
    "PlaySource",
    "RemoteTransport",
    "SubscribeTable",
    "SubscribeTrack",
    "answer_play",
    "answer_publish",
    "match_codecs",
    "parse_description",
    "restarts_ice",
]

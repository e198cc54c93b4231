"""The error codes of docs/signalling.md by name, for whoever refuses something: `raise Refusal.TOO_MUCH("…")`."""

from __future__ import annotations

from enum import Enum

from media.errors import PeerError


class Refusal(Enum):
    """Values are the codes on the wire; calling a member makes the error that carries it."""

    INVALID_API_KEY = 4001
    INVALID_TOKEN = 4002
    INVALID_MEETING_ID = 4003
    INVALID_PARTICIPANT_ID = 4004
    DUPLICATE_PARTICIPANT = 4005
    INVALID_PERMISSIONS = 4008
    MAX_PARTICIPANTS_REACHED = 4009
    UNAUTHORIZED_MEETING_ID = 4022
    UNAUTHORIZED_PARTICIPANT_ID = 4023
    UNAUTHORIZED_ROLE = 4024
    UNAUTHORIZED_REQUEST = 4025
    CODEC_NOT_SUPPORTED = 4051
    MEETING_ID_DISABLED = 4052
    APIKEY_DEACTIVATED = 4053
    REMOVE_PARTICIPANT_FAILED = 4066
    INVALID_SDP = 4090
    TOO_MUCH = 4091
    INVALID_MESSAGE = 4092
    PUBLISH_NOT_ALLOWED = 4093
    VERSION_CONFLICT = 4094
    UNKNOWN_TRACK = 4095
    NOT_JOINED = 4096
    ALREADY_JOINED = 4097
    SERVER_BUSY = 4098
    TOKEN_EXPIRED = 4100
    TOKEN_NOT_YET_VALID = 4101
    TOKEN_UNSIGNED = 4102
    TOKEN_ALGORITHM = 4103
    INTERNAL = 5000

    def __call__(self, reason: str) -> PeerError:
        return PeerError(self.value, self.name, reason)

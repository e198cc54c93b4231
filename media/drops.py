"""Why a datagram or packet was dropped. Every drop has one of these names; counts are plain ints, read at scrape time."""

from __future__ import annotations

from enum import Enum


class DropReason(Enum):
    UNKNOWN_KIND = "unknown_kind"  # RFC 7983: first byte in no known range
    UNKNOWN_PATH = "unknown_path"  # no session behind this address
    STUN_MALFORMED = "stun_malformed"
    STUN_UNKNOWN_USER = "stun_unknown_user"
    STUN_UNAUTHENTICATED = "stun_unauthenticated"
    DTLS_MALFORMED = "dtls_malformed"
    DTLS_BEFORE_ICE = "dtls_before_ice"
    DTLS_APPLICATION_DATA = "dtls_application_data"  # no data channel was negotiated
    HANDSHAKE_LIMIT = "handshake_limit"
    SRTP_BEFORE_DTLS = "srtp_before_dtls"
    SRTP_AUTH = "srtp_auth"
    SRTP_REPLAY = "srtp_replay"
    RTP_MALFORMED = "rtp_malformed"
    RTP_UNKNOWN_SSRC = "rtp_unknown_ssrc"
    RTP_UNKNOWN_PAYLOAD_TYPE = "rtp_unknown_payload_type"
    RTP_SSRC_LIMIT = "rtp_ssrc_limit"
    RTP_DUPLICATE = "rtp_duplicate"
    RTP_TOO_OLD = "rtp_too_old"
    RTP_PADDING = "rtp_padding"  # padding-only packets are not forwarded
    RTP_WAITING_KEYFRAME = "rtp_waiting_keyframe"
    RTP_LAYER_NOT_CHOSEN = "rtp_layer_not_chosen"
    RTP_TRACK_MUTED = "rtp_track_muted"
    RTX_MALFORMED = "rtx_malformed"
    RTCP_MALFORMED = "rtcp_malformed"
    SEND_QUEUE_FULL = "send_queue_full"
    SEND_REFUSED = "send_refused"  # the kernel refused the datagram
    SESSION_CLOSED = "session_closed"


class DropCounts:
    """A count for each reason; shared by all the parts of a node or of one session."""

    __slots__ = ("counts",)

    def __init__(self) -> None:
        self.counts: dict[DropReason, int] = dict.fromkeys(DropReason, 0)

    def count(self, reason: DropReason, n: int = 1) -> None:
        self.counts[reason] += n

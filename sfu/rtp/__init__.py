"""RTP and RTCP on the wire."""

"""RTP and RTCP on the wire: parse and serialize, no state of a stream. RFC 3550, 3611, 4585, 5104, 8285."""

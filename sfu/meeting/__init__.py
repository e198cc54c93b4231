"""The rules of a meeting: rooms, participants, tracks, permissions. No SDP, no JSON, no sockets."""

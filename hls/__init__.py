"""Segments, playlists and delivery of LL-HLS and VOD, sans-I/O."""

"""Playlists, one file a tag family."""

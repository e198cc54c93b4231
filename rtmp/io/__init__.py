"""Shells of the RTMP core."""

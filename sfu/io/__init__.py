"""Shells: sockets, signalling, WHIP."""

"""Congestion control."""

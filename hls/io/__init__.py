"""Shells of the HLS core."""

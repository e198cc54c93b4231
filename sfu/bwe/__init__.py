"""Bandwidth estimation and allocation for subscribers."""

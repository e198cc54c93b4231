"""Geometry of a composition: which box of the canvas shows whom. Pure."""

"""Composition pipelines (PyAV, numpy). They run in worker processes; the node never imports them."""

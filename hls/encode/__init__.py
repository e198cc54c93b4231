"""Ladders and jobs (PyAV). They run in worker processes; the node never imports them."""

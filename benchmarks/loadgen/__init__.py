"""A load generator for any server that speaks WHIP and WHEP: one publisher, many cheap receivers. `python -m benchmarks.loadgen`."""

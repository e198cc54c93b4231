"""Shared vocabulary of the planes: errors, drop reasons, ids, clocks, sequence numbers, codecs, seams. Standard library only."""

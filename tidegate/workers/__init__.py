"""Media workers: child processes that touch codecs, and the node's side of them.

`supervisor.Supervisor` starts, watches and ends them; `worker.py` is what runs in the child. Nothing here knows of meetings.
"""

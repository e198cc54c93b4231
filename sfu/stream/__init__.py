"""State of a stream: what was received, what is missing, what was sent to whom under which number."""

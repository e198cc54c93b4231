"""The meeting plane as one object: peers, rooms and what connects them. Sans-I/O."""

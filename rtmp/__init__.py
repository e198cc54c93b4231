"""RTMP, both roles, sans-I/O."""

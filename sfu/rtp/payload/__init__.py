"""Payload formats, as far as forwarding looks into them: keyframes, picture ids, RED blocks."""

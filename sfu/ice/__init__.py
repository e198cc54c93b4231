"""ICE-lite and its STUN."""

"""The meeting plane: WebRTC sessions, forwarding, rooms."""

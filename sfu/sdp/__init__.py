"""Session descriptions."""

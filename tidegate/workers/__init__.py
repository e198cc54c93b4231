"""Media worker processes."""

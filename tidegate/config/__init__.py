"""Configuration: model, loading, reloading."""

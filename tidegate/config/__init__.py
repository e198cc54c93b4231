"""Configuration: the model, loading it from TOML, environment and flags, the generated default file, reloading."""

from tidegate.config.model import Config

__all__ = ["Config"]

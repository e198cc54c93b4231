"""HTTP resources. Handlers parse, call a command of the core, and render."""

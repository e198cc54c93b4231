"""The application: command line, HTTP, store, events, workers, metrics. Imports every plane; no plane imports it."""

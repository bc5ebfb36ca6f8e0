"""The pytest plugin (being built)."""

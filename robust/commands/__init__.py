"""The commands of `robust`, one a module."""

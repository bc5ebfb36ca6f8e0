"""The record of an audit: its shape, and its JSON."""

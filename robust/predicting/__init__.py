"""Predictions: batched, checked, cached by content."""

"""Confidence bounds: what a number of rows can prove about a figure, and how many rows would prove it."""

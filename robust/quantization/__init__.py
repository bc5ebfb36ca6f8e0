"""A candidate against its reference: what it loses, and whether it is quantized at all."""

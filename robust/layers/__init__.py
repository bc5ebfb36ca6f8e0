"""Where a quantized model departs from its float one, layer by layer."""

"""What fewer bits would cost: simulated widths, layer by layer and for the whole model."""

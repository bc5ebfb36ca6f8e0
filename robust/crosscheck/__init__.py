"""Agreement of two models on the same inputs, output by output."""

"""Metrics as pure numpy kernels: arrays in, one value or row of statistics a row out."""

"""Builds quantized candidates with the quantizers of onnxruntime and torchao."""

"""Tensors as model files and validation files hold them: shapes, integer types with scale and zero point, files."""

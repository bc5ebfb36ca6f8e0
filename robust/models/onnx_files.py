"""Loads ONNX files into onnxruntime."""

from pathlib import Path

from robust.models.adapter_onnx import onnx_model
from robust.models.base import Model
from robust.models.onnx_session import open_session
from robust.models.options import Options


def load_onnx(content: bytes, path: Path, options: Options) -> Model:
    """A session on the CPU, made from the very bytes that are hashed.

    Raises:
        InvalidInput: If the file is damaged, asks for unknown operators, or keeps tensors in files that are
            missing.
    """
    session, parsed = open_session(content, path)
    return onnx_model(session, options, content=parsed)

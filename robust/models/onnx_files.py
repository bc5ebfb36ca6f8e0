"""Loads ONNX files into onnxruntime."""

from pathlib import Path
from typing import Any

import onnxruntime

from robust.errors import InvalidInput
from robust.models.adapter_onnx import onnx_model
from robust.models.base import Model
from robust.models.file_errors import reading
from robust.models.onnx_content import OnnxContent
from robust.models.options import Options

_PROVIDERS = ["CPUExecutionProvider"]
_ERRORS_ONLY = 3


def load_onnx(content: bytes, path: Path, options: Options) -> Model:
    """A session on the CPU, made from the very bytes that are hashed.

    Raises:
        InvalidInput: If the file is damaged, asks for unknown operators, or keeps tensors in files that are
            missing.
    """
    parsed = OnnxContent(content=content, path=path)
    with reading(path, "an ONNX model", remedy="copy or export it again"):
        outside = parsed.outside()
    missing = [file.name for file in outside if not file.is_file()]
    if missing:
        raise InvalidInput(f"{path} keeps tensors in {', '.join(missing)}, which is not beside it: copy it too")
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = _ERRORS_ONLY
    # Tensors in other files are found from the model's path; their content is part of its hash.
    source: Any = str(path) if outside else content
    with reading(path, "an ONNX model", remedy="copy or export it again; onnxruntime must know its operators"):
        session = onnxruntime.InferenceSession(source, settings, providers=_PROVIDERS)
    return onnx_model(session, options, content=parsed)

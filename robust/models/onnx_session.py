"""An onnxruntime session made from a file's bytes."""

import re
from pathlib import Path
from typing import Any

import onnxruntime

from robust.errors import InvalidInput
from robust.models.file_errors import reading
from robust.models.onnx_content import OnnxContent

_PROVIDERS = ["CPUExecutionProvider"]
_ERRORS_ONLY = 3
_UNKNOWN = re.compile(r"([\w.]*:\w+)\(-?\d+\) is not a registered function/op")


def open_session(content: bytes, path: Path) -> tuple[Any, OnnxContent]:
    """A session on the CPU, made from the very bytes that were looked at, and what they say besides.

    Args:
        content: The bytes of the `.onnx` file.
        path: Where they came from; tensors kept outside are beside it.

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
    # Tensors in other files are found from the model's path.
    source: Any = str(path) if outside else content
    with reading(path, "an ONNX model", remedy="copy or export it again; onnxruntime must know its operators"):
        try:
            return onnxruntime.InferenceSession(source, settings, providers=_PROVIDERS), parsed
        except Exception as error:
            unknown = _UNKNOWN.search(str(error))
            if unknown is None:
                raise
            raise InvalidInput(
                f"{path} has operator {unknown[1]} at {parsed.nodes_of(unknown[1])}, which onnxruntime does not know: "
                "replace it by standard operators and export again"
            ) from error

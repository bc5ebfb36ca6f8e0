"""Runs an ONNX model on an empty batch and ends: a program that a fuzz starts as a process of its own.

Given as JSON: where modules are found (`path`), the model's `file` or null where its bytes come on standard input, its
`input` and `output`, and the batch's `shape` and `dtype`.
"""

import json
import sys
from contextlib import suppress


def main() -> None:
    """Ask once; an exception is an answer, and ends in exit code 1."""
    told = json.loads(sys.argv[1])
    sys.path[:] = told["path"]
    with suppress(ImportError, OSError, ValueError):  # an image of the dead process is of no use to anybody
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import numpy as np
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    source = told["file"] or sys.stdin.buffer.read()
    session = onnxruntime.InferenceSession(source, settings, providers=["CPUExecutionProvider"])
    session.run([told["output"]], {told["input"]: np.zeros(told["shape"], dtype=told["dtype"])})


if __name__ == "__main__":
    main()

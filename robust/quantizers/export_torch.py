"""A torch module as the bytes of an ONNX file."""

import copy
import io
import sysconfig
import warnings
from contextlib import redirect_stderr

import torch

from robust.errors import InvalidInput, MissingExtra
from robust.models.adapter_torch import TorchAdapter, evaluating, placement
from robust.quantizers.export_faults_torch import why_not_exported
from robust.quantizers.quiet import quiet

_OPSET = 18
_INPUT, _OUTPUT = "x", "y"
# Those that print the whole graph where a module cannot be traced.
_LOGGERS = ("torch", "torch.onnx", "torch.fx", "torch.export", "torch._dynamo", "torch.fx.experimental.symbolic_shapes")
# Generated code, Python's own modules and installed ones: what warns from elsewhere is the user's code.
_LIBRARIES = ("<", *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")))


def exported(adapter: TorchAdapter, row: tuple[int, ...], *, name: str, fixed: int | None) -> bytes:
    """Export a module, batch normalisation folded into convolutions, for a free batch.

    Args:
        adapter: Of the module; it stays as it is.
        row: Shape of a row.
        name: Of the model.
        fixed: Rows that a call has exactly, or None.

    Returns:
        Bytes of the ONNX file, from `x` to `y`.

    Raises:
        InvalidInput: If it computes in other numbers than 32-bit floats, or torch cannot export it.
        MissingExtra: If the exporter is not installed.
    """
    device, dtype = placement(adapter.module)
    if dtype != torch.float32:
        raise InvalidInput(
            f"{name} computes in {dtype}, which onnxruntime does not quantize: module.float() would be right"
        )
    example = torch.zeros(fixed or 2, *row, device=device, dtype=torch.int64 if adapter.integer else dtype)
    free = None if fixed else ({0: torch.export.Dim("batch")},)
    try:
        # Tracing is torch's affair, and so is what it warns itself of; a warning made an error would end it.
        with warnings.catch_warnings(record=True) as said, quiet(*_LOGGERS), redirect_stderr(io.StringIO()):
            warnings.simplefilter("always")
            module = copy.deepcopy(adapter.module)  # tracing a recurrent layer of torch writes to it
            with evaluating(module):
                program = torch.onnx.export(
                    module,
                    (example,),
                    input_names=[_INPUT],
                    output_names=[_OUTPUT],
                    dynamic_shapes=free,
                    opset_version=_OPSET,
                    dynamo=True,
                    verbose=False,
                )
            content: bytes = program.model_proto.SerializeToString()
    except ImportError as error:
        raise MissingExtra(f"exporting {name} to ONNX ({error.name or error})", "onnx") from error
    except Exception as error:
        said_so = why_not_exported(error, adapter.module, example, free)
        raise InvalidInput(f"torch cannot export {name} to ONNX: {said_so}") from error
    for warning in said:
        if not warning.filename.startswith(_LIBRARIES):
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return content

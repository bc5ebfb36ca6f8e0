"""A torch module as the bytes of an ONNX file."""

import copy
import sysconfig
import warnings

import torch

from robust.errors import InvalidInput, MissingExtra
from robust.models.adapter_torch import TorchAdapter, evaluating, placement
from robust.models.foreign_errors import brief
from robust.quantizers.quiet import quiet

_OPSET = 18
_INPUT, _OUTPUT = "x", "y"
_REMEDY = "export it yourself, with the operator that it names replaced, and quantize the file"
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
        with warnings.catch_warnings(record=True) as said, quiet("torch.onnx"):
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
        raise InvalidInput(f"torch cannot export {name} to ONNX: {_cause(error)}; {_REMEDY}") from error
    for warning in said:
        if not warning.filename.startswith(_LIBRARIES):
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return content


def _cause(error: BaseException) -> str:
    """The first line of the error that began it: torch wraps what an operator says several times."""
    while error.__cause__ is not None:
        error = error.__cause__
    return brief(error)

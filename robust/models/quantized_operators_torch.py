"""The operators that quantized programs call, which exist only once the library that defines them is imported."""

import importlib
import importlib.util
import logging
import warnings

from robust.errors import MissingExtra

#: Names by which a program calls them.
_NAMESPACES = (b"torch.ops.quantized_decomposed.", b"torch.ops.torchao.")
_LIBRARY = "torchao.quantization.pt2e"


def define_quantized_operators(program: bytes) -> None:
    """Import what defines the quantizing operators of a program, where it calls any.

    Args:
        program: An archive that `torch.export.save` wrote, whose members are stored as they are.

    Raises:
        MissingExtra: If it calls some, and torchao is not installed.
    """
    if not any(name in program for name in _NAMESPACES):
        return
    if importlib.util.find_spec("torchao") is None:
        raise MissingExtra("a program that was quantized with torchao", "torch")
    # It tells of each kernel that was built for another machine or torch, of which these operators use none.
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module(_LIBRARY)
    finally:
        logging.disable(before)

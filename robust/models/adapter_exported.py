"""A program written by `torch.export` as a model."""

from functools import cache
from math import lcm

import torch

from robust.errors import InvalidInput
from robust.models.adapter_torch import TorchAdapter
from robust.models.base import Model
from robust.models.module_hash import module_identity, module_weights
from robust.models.options import Options


def exported_model(program: torch.export.ExportedProgram, options: Options, *, digest: str | None) -> Model:
    """Wrap an exported program.

    A batch dimension that was exported as a number is kept: the program runs at exactly that many rows.

    Args:
        program: One tensor in, one tensor out.
        options: What the user said about it.
        digest: Content hash of the file that it came from, or None for a live program.

    Raises:
        InvalidInput: If it takes or gives more than one tensor.
    """
    example = _only_input(program)
    fixed, block, limit = fixed_batch_of(example, program)
    module = program.module()
    integer = not example.dtype.is_floating_point
    adapter = TorchAdapter(module=module, block=block, integer=integer)
    return Model(
        name=options.name or "exported program",
        framework="torch",
        forward=adapter.forward,
        task=options.known_task,
        output=options.known_output,
        classes=options.classes,
        batch_size=options.rows if limit is None else max(block, min(options.rows, limit) // block * block),
        fixed_batch=fixed,
        gradients=None if integer else adapter.gradients,
        identity=(lambda: module_identity(module)) if digest is None else (lambda: digest),
        weights=cache(lambda: module_weights(module)) if digest is not None else adapter.weights,
    )


def _only_input(program: torch.export.ExportedProgram) -> torch.Tensor:
    """The example of the one input, as the graph keeps it (shape and type, no values)."""
    signature = program.graph_signature
    names = signature.user_inputs
    inputs = [node for node in program.graph.nodes if node.op == "placeholder" and node.name in names]
    if len(inputs) != 1 or len(names) != 1:
        raise InvalidInput(
            f"the program takes {len(names)} inputs ({', '.join(map(str, names))}); "
            "models with several inputs are not supported yet: export a wrapper that takes one tensor"
        )
    if len(signature.user_outputs) != 1:
        raise InvalidInput(
            f"the program gives {len(signature.user_outputs)} outputs: export a wrapper that returns the one to judge"
        )
    example = inputs[0].meta["val"]
    if not isinstance(example, torch.Tensor) or example.ndim == 0:
        raise InvalidInput("the program's input is not a batch of rows: export it with a tensor (rows, …)")
    return example


def fixed_batch_of(example: torch.Tensor, program: torch.export.ExportedProgram) -> tuple[int | None, int, int | None]:
    """Exact rows a call (or None), block to fill up to, and the most rows a call (or None)."""
    size = example.shape[0]
    if isinstance(size, int):
        return size, 1, None
    expression = size.node.expr
    symbols = expression.free_symbols
    step = expression.coeff(next(iter(symbols))) if len(symbols) == 1 else None
    if step is None or not step.is_Integer or expression != step * next(iter(symbols)):
        raise InvalidInput(
            f"the program's batch dimension is {expression}: export it with a free one, "
            "torch.export.export(…, dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))"
        )
    block = lcm(32, int(step))  # a dimension such as 8·batch takes multiples of 8 alone
    bounds = program.range_constraints.get(expression)
    limit = None if bounds is None or not bounds.upper.is_Integer else int(bounds.upper)
    if limit is not None and limit < block:
        return limit, 1, None
    return None, block, limit

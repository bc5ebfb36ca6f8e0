"""Torch modules and exported programs with all their inputs and outputs."""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from robust.errors import InvalidInput, ModelFault
from robust.models.adapter_exported import fixed_batch_of
from robust.models.adapter_torch import BLOCK, evaluating, placement, whole_or_bare
from robust.models.codes_torch import are_whole, require_whole, takes_codes
from robust.models.contract import CHANGES_INPUT
from robust.models.file_errors import reading
from robust.models.pt2_archive import inspected_archive
from robust.models.runner_base import Runner
from robust.models.runner_callable import named_outputs
from robust.tensors.spec import TensorSpec
from robust.types import AnyArray


def module_runner(
    module: torch.nn.Module, *, name: str, batch_size: int, codes: bool | None = None, block: int = BLOCK
) -> Runner:
    """Wrap a live module, called in evaluation mode as `module(*inputs)`.

    Args:
        module: Gives a tensor, or a tuple, list or mapping of tensors, batch first. Floating inputs come in its own
            precision; integers stay integers where it takes several inputs or codes.
        name: Shown in reports.
        batch_size: Rows a call at most.
        codes: Whether a single input is of integers; None asks what its embeddings are given.
        block: Every batch is filled up to a multiple of this many rows, so that bits do not depend on the batch,
            unless the module raises on so many, and not on fewer.
    """
    device, precision = placement(module)
    integers = takes_codes(module, device=device, dtype=precision) if codes is None else codes

    def forward(arrays: tuple[AnyArray, ...]) -> Mapping[str, AnyArray]:
        device, precision = placement(module)
        kinds: list[torch.dtype | None] = []
        for array in arrays:
            kind: torch.dtype | None = precision
            if integers and len(arrays) == 1 and are_whole(array):
                kind = torch.int64
            elif array.dtype.kind != "f" and len(arrays) > 1:
                kind = None
            kinds.append(kind)

        def ask(block: int) -> Mapping[str, AnyArray]:
            filled = [torch.from_numpy(_padded(array, block)) for array in arrays]
            tensors = (tensor.to(device=device, dtype=kind) for tensor, kind in zip(filled, kinds, strict=True))
            return _called(module, tuple(tensors), len(arrays[0]))

        try:
            return whole_or_bare(ask, rows=len(arrays[0]), block=block)
        except RuntimeError:
            # Rows that are no codes are handed over as they are: a module may make codes of them by itself.
            if integers and len(arrays) == 1:
                require_whole(arrays[0], name)
            raise

    return Runner(name=name, framework="torch", forward=forward, batch_size=batch_size)


def program_runner(program: torch.export.ExportedProgram, *, name: str, batch_size: int) -> Runner:
    """Wrap an exported program; a batch that was exported as a number is kept.

    Args:
        program: Tensors in, tensors out.
        name: Shown in reports.
        batch_size: Rows a call at most.

    Raises:
        InvalidInput: If an input is no batch of rows, or the batch is not the first axis of all inputs.
    """
    inputs, batches, examples = [], {}, []
    placeholders = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    for key in program.graph_signature.user_inputs:
        node = placeholders.get(str(key))
        example = None if node is None else node.meta.get("val")
        if not isinstance(example, torch.Tensor) or example.ndim == 0:
            raise InvalidInput(f"{name}: input {str(key)!r} is no batch of rows: export it with a tensor (rows, …)")
        batches[str(key)] = example.shape[0] if isinstance(example.shape[0], int) else None
        inputs.append(_spec(str(key), example))
        examples.append(example)
    if not examples:
        raise InvalidInput(f"{name}: the program takes no inputs: a model needs a batch of rows")
    fixed, block, limit = fixed_batch_of(examples[0], program)
    if len(set(batches.values())) > 1:
        found = ", ".join(f"{key!r} {'any' if size is None else size}" for key, size in batches.items())
        raise InvalidInput(
            f"{name}: the inputs' first axes differ ({found}): export the program with the batch first in every input"
        )
    module = program.module()

    def forward(arrays: tuple[AnyArray, ...]) -> Mapping[str, AnyArray]:
        tensors = tuple(torch.from_numpy(_padded(array, block)) for array in arrays)
        return _called(module, tensors, len(arrays[0]))

    return Runner(
        name=name,
        framework="torch",
        forward=forward,
        inputs=tuple(inputs),
        batch_size=batch_size if limit is None else max(block, min(batch_size, limit) // block * block),
        fixed_batch=fixed,
    )


def load_program(content: bytes, path: Path, *, trust: bool, batch_size: int) -> Runner:
    """A program of `torch.export`: what was inspected of it, or all of it where somebody vouched for it.

    Raises:
        UntrustedFile: If it could run code, and nobody vouched for it.
        InvalidInput: If it is damaged.
    """
    checked = content if trust else inspected_archive(content, path)
    with reading(path, "a torch.export program", remedy=f"export it again with torch {torch.__version__}"):
        program = torch.export.load(io.BytesIO(checked))
    return program_runner(program, name=path.name, batch_size=batch_size)


def _called(module: torch.nn.Module, tensors: tuple[torch.Tensor, ...], rows: int) -> Mapping[str, AnyArray]:
    """Outputs for the rows alone, of tensors that may be longer and must stay as they are."""
    with torch.inference_mode(False), torch.no_grad(), evaluating(module):
        versions = [tensor._version for tensor in tensors]  # torch counts the writes to a tensor and to its views
        found = module(*tensors)
        if [tensor._version for tensor in tensors] != versions:
            raise ModelFault(CHANGES_INPUT)
        filled = len(tensors[0])
        outputs = named_outputs(found, rows=filled, array=_numpy)
    # Where the batch is not the first axis, the caller finds that and says so: nothing is cut off here.
    return {key: array[:rows] if array.ndim and len(array) == filled else array for key, array in outputs.items()}


def _padded(array: AnyArray, block: int) -> AnyArray:
    """Rows filled up to whole blocks by repeating the last one."""
    missing = -len(array) % block
    return np.concatenate([array, np.repeat(array[-1:], missing, axis=0)]) if missing else array


def _numpy(value: object) -> AnyArray:
    if not isinstance(value, torch.Tensor):
        raise ModelFault(f"an output is a {type(value).__name__}: tensors (rows, …) are needed")
    tensor = value.detach().cpu()
    # numpy has no type for half of the floats that torch has.
    array: AnyArray = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return array


def _spec(name: str, example: torch.Tensor) -> TensorSpec:
    """What a program says about an input."""
    sizes = tuple(size if isinstance(size, int) else None for size in example.shape[1:])
    return TensorSpec(name=name, shape=sizes, dtype=str(example.dtype).removeprefix("torch."))

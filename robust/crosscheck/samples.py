"""The samples that two models are compared on, wherever they come from."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from robust.crosscheck.tensor_order import Position, moved
from robust.data.dataset import Dataset, update_digest
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.models.runner_base import Runner
from robust.tensors.fitting import fit_tensors
from robust.tensors.random_data import random_inputs
from robust.tensors.spec import TensorSpec
from robust.tensors.validation_data import Origin, ValidationData
from robust.tensors.validation_files import holds_candidate, read_validation
from robust.types import AnyArray

_TABLE = ".parquet"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Samples:
    """Samples, and what is known about them.

    Args:
        inputs: One array an input, (n, …).
        specs: What they are.
        truth: One array an output, None for an output without ground truth; or None where there is none at all.
        notes: How they were made or read.
        name: Where they came from.
        fingerprint: SHA-256 of their content.
        random: Whether they were drawn at random.
        data: The data set that they came from, or None.
        of_candidate: Whether inputs and ground truth are the candidate's own, in its order and types, though there is a
            reference: what a run without one wrote.
        origin: Whose outputs the ground truth was stored from, where the keys of its file say it.
    """

    inputs: tuple[AnyArray, ...]
    specs: tuple[TensorSpec, ...]
    truth: tuple[AnyArray | None, ...] | None
    notes: tuple[str, ...]
    name: str
    fingerprint: str
    random: bool = False
    data: Dataset | None = None
    of_candidate: bool = False
    origin: Origin | None = None

    def __len__(self) -> int:
        return len(self.inputs[0])


def gather_samples(
    data: Any,
    outputs: Any,
    model: Runner,
    other: Runner | None,
    *,
    rows: int,
    value_range: tuple[float, float] | None,
    seed: int,
    position: Position | None,
) -> Samples:
    """Find, read or draw samples.

    Args:
        data: See `agreement`.
        outputs: See `agreement`.
        model: The model whose inputs the samples are: the reference, or the candidate where it stands alone.
        other: The other model, for what the first does not tell.
        rows: How many to draw where none are given.
        value_range: Range to draw from.
        seed: Seed to draw with.
        position: Where the channels of given inputs lie, if elsewhere than in `model`.

    Returns:
        The samples, in the types of the model's inputs where it tells them.

    Raises:
        InvalidInput: If they cannot be read, do not fit, or are not given where they cannot be drawn.
    """
    if data is not None and value_range is not None:
        raise InvalidInput("value_range is the range of random samples; with data given it has no meaning")
    specs = _told(model, other, position)
    if data is None:
        if outputs is not None:
            raise InvalidInput("outputs are the ground truth of given samples, random ones have none: pass data too")
        return _drawn(specs, rows=rows, value_range=value_range, seed=seed)
    paths = _paths(data)
    if paths is not None:
        own = other is not None and other is not model and holds_candidate(paths)
        if own and other is not None and other.inputs is not None:
            return _of_candidate(paths, outputs, other.inputs)
        return _read(paths, outputs, specs)
    truth = None if outputs is None else _listed(outputs)
    if isinstance(data, ValidationData):
        known, origin = (data.outputs, data.origin) if truth is None else (truth, None)
        return _plain(data.inputs, specs, known, notes=data.notes, name="validation data", origin=origin)
    if isinstance(data, list) and data and all(isinstance(part, np.ndarray) for part in data):
        return _plain(tuple(data), specs, truth, notes=(), name="arrays")
    found = as_data(data)
    if truth is None and found.y is not None:
        truth = (found.y,)
    return Samples(
        inputs=(found.x,),
        specs=_as_they_are((found.x,), specs),
        truth=truth or None,
        notes=(),
        name=found.name,
        fingerprint=found.fingerprint,
        data=found,
    )


def _told(model: Runner, other: Runner | None, position: Position | None) -> tuple[TensorSpec, ...] | None:
    """What one of the models says about its inputs, with channels where given samples have them."""
    if model.inputs is not None:
        return tuple(_with_channels(spec, position) for spec in model.inputs)
    return other.inputs if other is not None else None


def _with_channels(spec: TensorSpec, position: Position | None) -> TensorSpec:
    return TensorSpec(
        name=spec.name, shape=moved(spec.shape, position), dtype=spec.dtype, quantization=spec.quantization
    )


def _drawn(
    specs: tuple[TensorSpec, ...] | None, *, rows: int, value_range: tuple[float, float] | None, seed: int
) -> Samples:
    if specs is None:
        raise InvalidInput("neither model says what its inputs look like, so none can be drawn: pass data")
    low, high = (None, None) if value_range is None else value_range
    drawn = random_inputs(specs, rows=rows, seed=seed, low=low, high=high)
    return Samples(
        inputs=drawn.inputs,
        specs=specs,
        truth=None,
        notes=drawn.notes,
        name=f"random samples (seed {seed})",
        fingerprint=_fingerprint(drawn.inputs),
        random=True,
    )


def _read(
    paths: Sequence[str | os.PathLike[str]],
    outputs: Any,
    specs: tuple[TensorSpec, ...] | None,
) -> Samples:
    """Validation files: several arrays of one `.npz`, or one file a tensor, in order."""
    unwanted = isinstance(outputs, list | tuple) and not outputs
    answers = () if outputs is None or unwanted else _paths(outputs)
    if answers is None:
        raise InvalidInput("where samples come from files, outputs are files too; or load both and pass arrays")
    # References stay as they are: they may be labels, and are fitted to what the models turn out to give.
    found = read_validation(paths, answers, specs_in=specs, specs_out=None)
    truth = None if unwanted else found.outputs
    name = ", ".join(map(os.path.basename, paths))
    return _plain(found.inputs, specs, truth, notes=found.notes, name=name, origin=found.origin)


def _of_candidate(paths: Sequence[str | os.PathLike[str]], outputs: Any, specs: tuple[TensorSpec, ...]) -> Samples:
    """An archive of what a candidate was given, though a reference is run too: in the candidate's order and shapes.

    Floating numbers stay what they are, so that the reference gets the very same.
    """
    found = _read(paths, outputs, None)
    if len(found.inputs) != len(specs):
        raise InvalidInput(_miscounted(len(found.inputs), specs))
    own = [_unquantized(spec, array) for spec, array in zip(specs, found.inputs, strict=True)]
    inputs, told = fit_tensors(found.inputs, own)
    note = "the samples are the candidate's (keys c_inputs_1 …), in the order of its inputs and outputs"
    return replace(
        found, inputs=inputs, specs=_as_they_are(inputs, specs), notes=(*found.notes, *told, note), of_candidate=True
    )


def _unquantized(spec: TensorSpec, array: AnyArray) -> TensorSpec:
    """What an input takes, with the type of floating samples that it would quantize."""
    if array.dtype.kind != "f" or spec.quantization is None:
        return spec
    return TensorSpec(name=spec.name, shape=spec.shape, dtype=str(array.dtype))


def _plain(
    inputs: tuple[AnyArray, ...],
    specs: tuple[TensorSpec, ...] | None,
    truth: tuple[AnyArray | None, ...] | None,
    *,
    notes: tuple[str, ...],
    name: str,
    origin: Origin | None = None,
) -> Samples:
    return Samples(
        inputs=inputs,
        specs=_as_they_are(inputs, specs),
        truth=truth or None,
        notes=notes,
        name=name,
        fingerprint=_fingerprint(inputs),
        origin=origin,
    )


def _as_they_are(arrays: Sequence[AnyArray], specs: tuple[TensorSpec, ...] | None) -> tuple[TensorSpec, ...]:
    """What given arrays are: their own shapes and types, the names of the inputs in whose order they come.

    Raises:
        InvalidInput: If there are more or fewer arrays than inputs, or one holds no numbers.
    """
    if specs is not None and len(specs) != len(arrays):
        raise InvalidInput(_miscounted(len(arrays), specs))
    found = []
    for i, array in enumerate(arrays):
        told = None if specs is None else specs[i]
        name = f"input_{i + 1}" if told is None else told.name
        if array.ndim == 0 or array.dtype.kind not in "biuf":
            raise InvalidInput(f"input {name!r} is {array.dtype} of shape {array.shape}: numbers, (n, …), are needed")
        q = told.quantization if told is not None and told.dtype == str(array.dtype) else None
        found.append(TensorSpec(name=name, shape=array.shape[1:], dtype=str(array.dtype), quantization=q))
    return tuple(found)


def _miscounted(count: int, specs: Sequence[TensorSpec]) -> str:
    """The message for more or fewer arrays than inputs."""
    names = ", ".join(repr(spec.name) for spec in specs)
    return f"got {count} input arrays for {len(specs)} inputs ({names}): one each, in this order, would be right"


def _listed(outputs: Any) -> tuple[AnyArray | None, ...]:
    """Ground truth as one array, or None, an output: a single array is that of the only output."""
    if isinstance(outputs, np.ndarray):
        return (outputs,)
    if not isinstance(outputs, list | tuple) or not all(
        part is None or isinstance(part, np.ndarray) for part in outputs
    ):
        raise InvalidInput(
            f"outputs must be an array, or a list of arrays (or None), one an output, got {type(outputs).__name__}; "
            "files go with samples from files"
        )
    return tuple(outputs)


def _paths(data: Any) -> tuple[str | os.PathLike[str], ...] | None:
    """Paths of validation files, or None for anything else; a single table (.parquet) is a data set."""
    if isinstance(data, str | os.PathLike):
        return None if os.fspath(data).lower().endswith(_TABLE) else (data,)
    if not isinstance(data, list | tuple) or not data or not all(isinstance(p, str | os.PathLike) for p in data):
        return None
    return tuple(data)


def _fingerprint(arrays: Sequence[AnyArray]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        update_digest(digest, array)
    return digest.hexdigest()

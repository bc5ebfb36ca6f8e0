"""Weights of an ONNX file that are looked up in a stored table, at stored places: palettes and the like."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import TensorProto

from robust.costing.graph_onnx import setting
from robust.quantization.stored_values_onnx import Constants
from robust.types import AnyArray

#: Operators that take numbers of their first input at the places that their second one says.
LOOKING_UP = frozenset(("Gather", "GatherND", "GatherElements"))


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedUp:
    """What is looked up.

    Args:
        size: How many numbers.
        axes: How many axes they have.
        places: How many places are stored.
        bits: Bits that each of these takes: as many as tell the entries of the table apart, whatever its type; 0 where
            each place follows the one before, so that they say nothing.
    """

    size: int
    axes: int
    places: int
    bits: int


def looked_up(node: Any, stored: Mapping[str, TensorProto], sources: Mapping[str, Any]) -> LookedUp | None:
    """Numbers of a table at stored places.

    Args:
        node: One of `LOOKING_UP`.
        stored: Stored tensors by name.
        sources: The operator behind each other tensor.

    Returns:
        None where table or places cannot be read, or do not fit each other.
    """
    constants = Constants(stored=stored, makers=sources)
    table, places = (constants.array(name) for name in node.input[:2])
    if table is None or places is None or not table.size:
        return None
    every = np.arange(table.size).reshape(table.shape)
    try:
        taken, entries = _taken(node, every, places.astype(np.int64))
    except (IndexError, ValueError):
        return None
    flat = taken.reshape(-1)
    steady = flat.size == 1 or bool((np.diff(flat) == 1).all())
    return LookedUp(
        size=taken.size,
        axes=taken.ndim,
        places=places.size if node.op_type != "GatherND" else places.size // max(1, places.shape[-1]),
        bits=0 if steady else max(1, (entries - 1).bit_length()),
    )


def _taken(node: Any, table: AnyArray, places: AnyArray) -> tuple[AnyArray, int]:
    """What an operator takes out of a table, and of how many entries each place chooses one."""
    if node.op_type == "GatherND":
        if setting(node, "batch_dims", 0) or places.ndim == 0:
            raise ValueError("batches of tables")
        return table[tuple(np.moveaxis(places, -1, 0))], int(np.prod(table.shape[: places.shape[-1]]))
    axis = int(setting(node, "axis", 0))
    if node.op_type == "Gather":
        return np.take(table, places, axis=axis), table.shape[axis]
    return np.take_along_axis(table, places, axis=axis), table.shape[axis]

"""The stored numbers of an ONNX file that a factor of a product is made of."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from robust.costing.graph_onnx import bits, reads
from robust.models.layer_bits import NARROW
from robust.quantization.looked_up_onnx import LOOKING_UP, looked_up

FLOATS = frozenset({TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE})
_WHOLE = frozenset({"INT32", "INT64", "UINT32", "UINT64", "BOOL", "STRING"})
#: Operators that make a number of one each of what they are given.
_PAIRING = frozenset(("Add", "Sub", "Mul", "Div", "BitShift", "BitwiseOr", "BitwiseXor", "Or", "Xor", "Max", "Min"))
#: Operators that leave fewer values than they are given.
_ROUNDING = frozenset(("Round", "Floor", "Ceil", "Sign"))


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredWeight:
    """A stored weight that an operator reads.

    Args:
        name: The tensor.
        size: How many numbers.
        axes: How many axes.
        bits: Bits of each number.
        rounded: Bits that they are rounded to on their way; None where they are not.
        unknown: Whether they are rounded on their way in another manner.
        cast: Whether they are made floating ones as they are, without a scale.
        beside: Bits of other stored numbers that each of them takes: its other half, or a scale that varies along two
            axes and so does not come out of the sum of products.
        palette: The result of the operator that looks these numbers up in a table, at stored places; empty for others.
    """

    name: str
    size: int
    axes: int
    bits: int
    rounded: int | None
    unknown: bool = False
    cast: bool = False
    beside: float = 0.0
    palette: str = ""

    @property
    def key(self) -> str:
        """What tells it from others: two palettes may share a table, or places."""
        return self.palette or self.name

    @property
    def narrowed(self) -> int:
        """Bits of each number alone in the run."""
        return self.bits if self.rounded is None else min(self.bits, self.rounded)

    @property
    def width(self) -> int:
        """Bits of each number in the run; with what is beside it where that makes it as wide as a float."""
        whole = self.narrowed + self.beside
        return self.narrowed if whole < 2 * NARROW else math.ceil(whole)


def made_of(
    name: str,
    stored: Mapping[str, TensorProto],
    sources: Mapping[str, Any],
    known: dict[str, list[StoredWeight] | None],
) -> list[StoredWeight] | None:
    """The stored numbers that an input is made of, however; None where something else takes part.

    Of the tensors behind a factor those hold its numbers that are large enough: a scale or a mask does not.
    """
    if name not in known:
        known[name] = None  # a graph without an order would go round in circles
        known[name] = _traced(name, stored, sources, known)
    return known[name]


def _traced(
    name: str,
    stored: Mapping[str, TensorProto],
    sources: Mapping[str, Any],
    known: dict[str, list[StoredWeight] | None],
) -> list[StoredWeight] | None:
    if name in stored:
        tensor = stored[name]
        width = bits(tensor.data_type) or 0
        return [StoredWeight(name=name, size=math.prod(tensor.dims), axes=len(tensor.dims), bits=width, rounded=None)]
    node = sources.get(name)
    if node is None:
        return None
    parts: list[list[StoredWeight]] = []
    for one in reads(node):
        part = made_of(one, stored, sources, known)
        parts.append(part or [])
        # Scales of the two operators that quantize may come from elsewhere.
        if part is None and (len(parts) == 1 or node.op_type not in ("QuantizeLinear", "DequantizeLinear")):
            return None
    if node.op_type in LOOKING_UP and len(parts) == 2:
        return _palette(node, parts, stored, sources)
    if node.op_type == "Mul":
        parts = _without_masks(parts, stored)
    if node.op_type == "DequantizeLinear" or node.op_type in _PAIRING:
        parts = _beside_each_other(parts, stored)
    if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
        parts = parts[:1]
    found = [one for part in parts for one in part]
    if node.op_type == "QuantizeLinear":
        width = _rounded_bits(node, stored)
        narrowed = [width if one.rounded is None else min(one.rounded, width) for one in found]
        found = [replace(one, rounded=bits, beside=0.0) for one, bits in zip(found, narrowed, strict=True)]
    elif node.op_type == "Cast":
        found = [replace(one, cast=True) for one in found]
    elif node.op_type == "Reshape":
        found = [replace(one, axes=max(one.axes, 2)) for one in found]  # a flat one becomes a matrix
    elif node.op_type in _ROUNDING:
        found = [replace(one, unknown=True) for one in found]
    return list({one.key: one for one in found}.values())


def _palette(
    node: Any, parts: list[list[StoredWeight]], stored: Mapping[str, TensorProto], sources: Mapping[str, Any]
) -> list[StoredWeight]:
    """Numbers of a table at stored places: each takes its place, and its share of the table."""
    found = looked_up(node, stored, sources)
    if found is None:
        return [replace(one, unknown=True, axes=max(one.axes, 2), palette=node.output[0]) for one in parts[0]]
    table = sum(one.size * (one.narrowed + one.beside) for one in parts[0] if not _counts_places(stored[one.name]))
    if not table:
        return []  # places, or shapes
    largest = max(parts[0], key=lambda one: one.size)
    one = replace(
        largest,
        size=found.size,
        axes=found.axes,
        unknown=any(one.unknown for one in parts[0]),
        palette=node.output[0],
    )
    each = (found.bits * found.places + table) / max(1, found.size)
    vectors = found.places < found.size  # each place stands for several numbers, which share its bits
    if found.bits and not vectors and table < found.size * NARROW:  # what tells numbers apart is the places
        one = replace(one, bits=found.bits, rounded=None)
    elif each < one.narrowed:
        one = replace(one, bits=math.ceil(each), rounded=None)
    return [replace(one, beside=max(0.0, each - one.narrowed))]


def _without_masks(parts: list[list[StoredWeight]], stored: Mapping[str, TensorProto]) -> list[list[StoredWeight]]:
    """What is multiplied, without the tensors that say which of its numbers are 0: these are no weights."""
    sizes = [max((one.size for one in part if one.axes > 1), default=0) for part in parts]
    masks = [bool(part) and all(_is_mask(stored[one.name]) and not one.palette for one in part) for part in parts]
    kept = max((size for size, mask in zip(sizes, masks, strict=True) if not mask), default=0)
    return [[] if mask and 2 * kept > size else part for part, size, mask in zip(parts, sizes, masks, strict=True)]


def _beside_each_other(parts: list[list[StoredWeight]], stored: Mapping[str, TensorProto]) -> list[list[StoredWeight]]:
    """Numbers that are paired one with one each take the bits of the others, too; shared ones are stored once."""
    numbers = [[one for one in part if one.size > 1 and one.bits and _is_number(one, stored)] for part in parts]
    # A scale that varies along one axis comes out of the sum of products where weights vary along two.
    wide = [[one for one in part if varies(one, stored)] for part in numbers]
    whole = [[one for one in part if stored[one.name].data_type not in FLOATS] for part in numbers]
    numbers = wide if any(wide) else whole
    if sum(map(bool, numbers)) < 2:
        return parts
    taken = [{one.key: one.size * one.narrowed for one in part if not _is_mask(stored[one.name])} for part in numbers]
    found = []
    for part, own, kept in zip(parts, taken, numbers, strict=True):
        others = {name: bits for other in taken for name, bits in other.items() if name not in own}
        added = sum(others.values()) / max(1, sum(one.size for one in kept))
        found.append([replace(one, beside=one.beside + added) if one.key in own else one for one in part])
    return found


def holders(weights: Sequence[StoredWeight], stored: Mapping[str, TensorProto]) -> list[StoredWeight]:
    """Those of the tensors behind a factor that hold its numbers."""
    numbers = [one for one in weights if one.bits and one.axes > 1 and _is_number(one, stored)]
    largest = max((one.size for one in numbers), default=0)
    large = [one for one in numbers if 2 * one.size > largest and stored[one.name].data_type in FLOATS]
    if large:
        return [one for one in large if not _is_mask(stored[one.name])] or large
    alone = len(weights) == 1 and weights[0].cast  # as it is, it says which numbers meet
    return [one for one in numbers if 2 * one.size > largest and not (alone and _is_mask(stored[one.name]))]


def varies(one: StoredWeight, stored: Mapping[str, TensorProto]) -> bool:
    """Whether numbers vary along two axes, as those of a matrix do."""
    return one.axes > 1 if one.palette else sum(size > 1 for size in stored[one.name].dims) > 1


def _is_number(one: StoredWeight, stored: Mapping[str, TensorProto]) -> bool:
    return bool(one.palette) or not _counts_places(stored[one.name])


def _counts_places(tensor: TensorProto) -> bool:
    return tensor.data_type not in FLOATS and TensorProto.DataType.Name(tensor.data_type) in _WHOLE


def _is_mask(tensor: TensorProto) -> bool:
    """Whether a tensor says yes or no."""
    kinds = (TensorProto.UINT8, TensorProto.BOOL, *FLOATS)
    if tensor.data_type not in kinds or onnx.external_data_helper.uses_external_data(tensor):
        return False
    values = numpy_helper.to_array(tensor)
    return bool(((values == 0) | (values == 1)).all())


def _rounded_bits(node: Any, stored: Mapping[str, TensorProto]) -> int:
    """Bits of the integers that a quantizing operator makes: its zero point's, or those that it names; else uint8."""
    if len(node.input) > 2 and node.input[2] in stored:
        return bits(stored[node.input[2]].data_type) or NARROW
    kind = next((attribute.i for attribute in node.attribute if attribute.name == "output_dtype"), 0)
    return (bits(kind) if kind else None) or NARROW


def constant_of(node: Any) -> TensorProto | None:
    """What a `Constant` holds, as a tensor; None for texts and sparse ones.

    Args:
        node: The operator.
    """
    for attribute in node.attribute:
        value = helper.get_attribute_value(attribute)
        if attribute.name == "value":
            return attribute.t
        if attribute.name in ("value_float", "value_floats"):
            return numpy_helper.from_array(np.array(value, dtype=np.float32))
        if attribute.name in ("value_int", "value_ints"):
            return numpy_helper.from_array(np.array(value, dtype=np.int64))
    return None

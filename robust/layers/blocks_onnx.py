"""The layers of an ONNX graph: operators with the bias, normalisation, activation and quantizer that follow them."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from robust.layers.activations_onnx import ACTIVATIONS, activation, composed
from robust.layers.blocks import ENTRY, OUTPUT, RECURRENT, Block, Point, family, points_behind
from robust.layers.flow_onnx import Bundle, Flow, is_lookup
from robust.layers.names_onnx import name_of, plain_name
from robust.layers.shifts import along, normalised, scaled, shifted
from robust.layers.shifts_onnx import added, has_bias, multiplied, normalising, own_shift
from robust.quantization.stored_values_onnx import fold_of, weight_of
from robust.types import AnyArray, FloatArray

#: Operators that hand numbers on, in another shape, type or form: no layers of their own.
_VIEWS = frozenset(
    (
        *("Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Cast", "CastLike", "Dropout"),
        *("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "Shape", "Size", "Constant", "Expand"),
        *("ConstantOfShape", "Range", "Gather", "GatherND", "Slice", "Split", "Tile"),
    )
)
#: Families whose outputs a constant may still be added to, or multiplied by, as a part of the layer.
_PRODUCTS = ("conv", "convtranspose", "linear")
_INTEGER_PRODUCTS = ("ConvInteger", "MatMulInteger")


def blocks_of(flow: Flow, modules: Collection[str] = ()) -> tuple[Block, ...]:
    """The layers of a graph, in the order of a run.

    Args:
        flow: The graph.
        modules: Names of the layers of the torch module that it is compared with; none of another file.

    Returns:
        One block for each operator that computes something from the rows, unless it belongs to the one before it; one
        for each of its outputs that is used, where it has several.
    """
    ends = {name: ENTRY for source in flow.inputs for name in flow.bundle(source).names}
    taken: set[int] = set()
    found = []
    for place, node in enumerate(flow.graph.node):
        wanted = flow.computed(node.input)
        view = node.op_type in _VIEWS and not is_lookup(flow, node)
        if id(node) in taken or view or not wanted or flow.sizes.issuperset(filter(None, node.output)):
            continue
        feeds = _feeds(flow, wanted, ends)
        for output in _used(flow, node):
            chain = _chain(flow, node, output)
            taken.update(chain.members)
            name, named = name_of(flow, node, place, chain.stored, modules)
            block = replace(_block(flow, node, name, chain, feeds), named=named)
            found.append(block)
            ends |= {name: block.end for bundle in chain.bundles for name in bundle.names}
    return tuple(found)


def output_of(flow: Flow, blocks: tuple[Block, ...], name: str) -> Block:
    """What a graph gives, as a layer: its end is that of the layer that ends there, where one does.

    Args:
        flow: The graph.
        blocks: Its layers.
        name: Of the output.
    """
    ends = {name: ENTRY for source in flow.inputs for name in flow.bundle(source).names}
    ends |= {one: block.end for block in blocks for one in flow.bundle(block.end).names}
    last = ends.get(name, OUTPUT)
    return Block(name=OUTPUT, kind="Output", end=OUTPUT if last == ENTRY else last, feeds=_feeds(flow, [name], ends))


def source_of(flow: Flow, name: str) -> str:
    """The tensor that holds an activation as the next layer gets it: its integers where it is quantized."""
    bundle = flow.bundle(name)
    return bundle.packed or name


@dataclass(slots=True)
class _Chain:
    """What belongs to one layer."""

    bundles: list[Bundle] = field(default_factory=list)
    members: list[int] = field(default_factory=list)
    activations: list[str] = field(default_factory=list)
    stored: list[str] = field(default_factory=list)
    fold: FloatArray | None = None
    scale: AnyArray | None = None
    factor: FloatArray | None = None
    biased: bool = False
    shift: FloatArray | None = None
    axes: int = 1
    points: list[Point] = field(default_factory=list)

    def here(self, node: Any, level: int) -> Point:
        """The point that it has come to."""
        return Point(
            end=self.bundles[-1].names[0],
            activations=tuple(self.activations),
            integers=_integers(node, self.bundles[-1]),
            level=level,
            shift=self.shift,
            scale=self.factor,
        )


def _used(flow: Flow, node: Any) -> list[str]:
    """Outputs of a node that somebody reads."""
    return [name for name in flow.computed(node.output) if flow.readers(name) or name in flow.outputs]


def _chain(flow: Flow, node: Any, name: str) -> _Chain:
    """Follow a layer's output through whatever is still a part of the layer."""
    chain = _Chain(members=[id(node)], stored=_stored(flow, node), biased=has_bias(node))
    product = family(node.op_type) in _PRODUCTS
    if product:
        weight = weight_of(node, flow.constants, None)
        chain.shift = own_shift(flow, node, None if weight is None else weight.values)
        chain.axes = 1 if chain.shift is None else max(chain.shift.ndim, 1)
    while True:
        bundle = flow.bundle(name)
        chain.bundles.append(bundle)
        if flow.ends(bundle):
            return chain
        applied = _applied(flow, node, chain)
        if applied is not None:
            chain.points.append(chain.here(node, 0))
            kind, members, name = applied
            chain.activations.append(kind)
        else:
            after = flow.outside(bundle)
            if len(after) != 1 or not _alone(flow, after[0], bundle):
                return chain
            if not _belongs(flow, after[0], node, chain, product=product):
                chain.points += _behind(flow, node, chain) if product else ()
                return chain
            members, name = (id(after[0]),), after[0].output[0]
            chain.stored += _stored(flow, after[0])
        chain.members += members


def _alone(flow: Flow, node: Any, bundle: Bundle) -> bool:
    """Whether an operator reads a tensor and constants alone."""
    others = [one for one in node.input if one and one not in bundle.names]
    return all(one in flow.fixed or one in flow.scales for one in others) and len(node.output) > 0


def _applied(flow: Flow, node: Any, chain: _Chain) -> tuple[str, tuple[int, ...], str] | None:
    """The activation that follows, the operators that make it up, and what the last of them makes."""
    if chain.activations or family(node.op_type) in RECURRENT:  # a second activation is a layer of its own
        return None
    several = composed(flow, chain.bundles[-1])
    if several is not None:
        return several
    after = flow.outside(chain.bundles[-1])
    if len(after) != 1 or after[0].op_type not in ACTIVATIONS or not _alone(flow, after[0], chain.bundles[-1]):
        return None
    return activation(flow, after[0]), (id(after[0]),), after[0].output[0]


def _belongs(flow: Flow, follower: Any, node: Any, chain: _Chain, *, product: bool) -> bool:
    """Whether an operator is a part of the layer before it; what it adds is noted."""
    kind, names = follower.op_type, chain.bundles[-1].names
    if chain.activations or family(node.op_type) in RECURRENT:
        return False
    if kind == "BatchNormalization":
        fold = _fold(flow, follower)
        if chain.fold is not None or fold is None:
            return False
        chain.fold = fold
        chain.shift = normalised(chain.shift, fold, normalising(flow, follower), chain.axes)
        return True
    if node.op_type in _INTEGER_PRODUCTS and chain.scale is None:
        if kind == "Cast":
            return True
        if kind == "Mul":
            chain.scale = _weight_scale(flow, [one for one in follower.input if one and one not in names])
            return True
    if not product or chain.biased or chain.fold is not None:
        return False
    value = added(flow, follower, names)
    if value is None or value.size != max(value.shape, default=1):  # a bias is one number a channel
        return False
    chain.points.append(chain.here(node, -1))
    chain.biased, chain.shift = True, shifted(chain.shift, value)
    return True


def _behind(flow: Flow, node: Any, chain: _Chain) -> list[Point]:
    """Points behind constants that are added to what a layer gives, or multiply it: optimizers take these into it.

    A batch normalisation behind them is such a constant.
    """
    later = replace(chain, bundles=list(chain.bundles), activations=[], points=[], factor=np.ones(()))
    level = 0
    while not chain.activations and not later.activations and not flow.ends(later.bundles[-1]):
        applied = _applied(flow, node, later) if level else None
        after = flow.outside(later.bundles[-1])
        names = later.bundles[-1].names
        value = added(flow, after[0], names) if len(after) == 1 else None
        factor = multiplied(flow, after[0], names) if len(after) == 1 else None
        fold = _fold(flow, after[0]) if len(after) == 1 and level else None
        if applied is not None:
            later.activations.append(applied[0])
            later.bundles.append(flow.bundle(applied[2]))
        elif value is not None or factor is not None or fold is not None:
            level += 1
            if fold is not None:
                factor = along(fold, chain.axes)
                later.shift = normalised(later.shift, fold, normalising(flow, after[0]), chain.axes)
            else:
                later.shift = scaled(later.shift, factor) if value is None else shifted(later.shift, value)
            later.factor = later.factor if factor is None else scaled(later.factor, factor)
            if later.factor is None:
                break
            later.bundles.append(flow.bundle(after[0].output[0]))
        else:
            break
        later.points.append(later.here(node, level))
    return later.points


def _fold(flow: Flow, node: Any) -> FloatArray | None:
    """What a batch normalisation multiplies channels by; None of another operator."""
    return fold_of(node, flow.constants) if node.op_type == "BatchNormalization" else None


def _integers(node: Any, bundle: Bundle) -> bool:
    return bundle.packed is not None or node.op_type.startswith("QLinear") or node.op_type == "QGemm"


def _weight_scale(flow: Flow, others: list[str]) -> AnyArray | None:
    """The weights' scale in the product of both scales that integers are multiplied by."""
    for name in others:
        maker = flow.makers.get(name)
        for one in (name, *(maker.input if maker is not None else ())):
            if one in flow.fixed:
                return flow.constants.array(one)
    return None


def _stored(flow: Flow, node: Any) -> list[str]:
    """Names of stored tensors that a node reads, also unpacked; its weight before its bias."""
    found = []
    for name in node.input:
        seen = 0
        while name and name in flow.fixed and seen < 8:
            if name in flow.constants.stored:
                found.append(name)
                break
            maker = flow.makers.get(name)
            found.append(name)
            name, seen = (maker.input[0] if maker is not None and maker.input else ""), seen + 1
    return found


def _feeds(flow: Flow, names: list[str], ends: Mapping[str, str]) -> tuple[str, ...]:
    """Points that tensors come from, through views."""

    def computed(given: Iterable[str]) -> list[str]:
        return [name for name in flow.computed(given) if name not in flow.sizes]

    def before(name: str) -> Iterable[str]:
        maker = flow.makers.get(name)
        return () if maker is None else computed(maker.input)

    return points_behind(computed(names), ends, before)


def _block(flow: Flow, node: Any, name: str, chain: _Chain, feeds: tuple[str, ...]) -> Block:
    first, last = chain.bundles[0], chain.bundles[-1]
    aliases = dict.fromkeys(plain_name(one) for bundle in reversed(chain.bundles) for one in reversed(bundle.names))
    weight = weight_of(node, flow.constants, chain.scale)
    return Block(
        name=name,
        kind=node.op_type,
        end=last.names[0],
        part=list(node.output).index(first.names[0]),
        start=first.names[0],
        aliases=tuple(aliases),
        activations=tuple(chain.activations),
        integers=_integers(node, last),
        weight=None if weight is None else weight.values,
        fold=chain.fold,
        feeds=feeds,
        shift=chain.shift,
        points=tuple(chain.points),
    )

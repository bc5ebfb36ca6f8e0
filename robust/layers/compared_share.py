"""Whether enough layers of two models were compared to say where they differ: a self-check."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from robust.costing.whole_model import cost
from robust.errors import InvalidInput, ModelFault
from robust.evidence import SelfCheck
from robust.layers.blocks import OUTPUT, Block, Watched
from robust.layers.matching import Unmatched
from robust.layers.point_sums import ROUNDING
from robust.models.base import Model
from robust.types import AnyArray

if TYPE_CHECKING:
    from robust.layers.layer_result import LayerError

#: Of the multiply-accumulates of a model, this share must lie in layers that were compared.
_LEAST = 0.5
_MOST_NAMES = 5
#: Families without weights of their own in a block that multiply all the same.
_MULTIPLYING = frozenset(("conv", "convtranspose", "linear", "lstm", "gru", "rnn", "attention", "matmulnbits"))


def layers_compared(
    rows: Sequence["LayerError"],
    unmatched: Sequence[Unmatched],
    models: Sequence[tuple[Model, Watched]],
    x: AnyArray,
    *,
    output: str | None,
) -> SelfCheck:
    """Whether the layers that were compared can explain what the models give.

    Args:
        rows: What was compared.
        unmatched: What was not.
        models: The reference, and the candidate.
        x: A few rows.
        output: Point of the row of the output; None where it was not compared.

    Returns:
        A check that fails where the outputs differ though no layer that was compared adds an error; where the layers
        that were compared have less than half of the multiply-accumulates of either model; and where the outputs could
        not be compared while layers with weights were not either. What was missed may be worse: it raises the ratio.
    """
    given = next((row for row in rows if row.point == output), None)
    missed = {
        who: [one.layer for one in unmatched if one.model == who and one.layer != f"{OUTPUT} (Output)"]
        for who in ("reference", "candidate")
    }
    left = [(who, _weighted(watched, missed[who])) for who, (_, watched) in zip(missed, models, strict=True)]
    shares = [
        1.0 - _share(model, watched, missed[who], x) if names else 1.0
        for (who, names), (model, watched) in zip(left, models, strict=True)
    ]
    told = "; ".join(f"of the {who} {_listed(names or missed[who])}" for who, names in left if names or missed[who])
    told = f": not compared are {told}" if told else ""
    explained = any(row.own_sqnr < ROUNDING for row in rows if row.layer != OUTPUT)
    if given is None and (any(names for _, names in left) or not unmatched):
        reason: str | None = f"the outputs could not be compared{told}"
    elif given is not None and given.sqnr < ROUNDING and not explained:
        reason = f"the outputs differ ({given.sqnr:.1f} dB) though every layer that was compared is exact{told}"
    elif min(shares) < _LEAST:
        who = left[shares.index(min(shares))][0]
        reason = f"{100 * min(shares):.0f} % of the multiply-accumulates of the {who} lie in compared layers{told}"
    else:
        reason = None
    whole = "the outputs were compared" if given is not None else "every layer with weights was compared"
    return SelfCheck(
        name="layers compared",
        passed=reason is None,
        reason=reason or f"{whole}, and layers with {100 * min(shares):.0f} % of the multiply-accumulates{told}",
        bias="raises",
    )


def _listed(labels: Sequence[str]) -> str:
    more = len(labels) - _MOST_NAMES
    return ", ".join(labels[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _weighted(watched: Watched, labels: Sequence[str]) -> list[str]:
    """Labels of layers that have weights, or multiply."""
    return [block.label for block in watched.blocks if block.label in labels and _multiplies(block)]


def _multiplies(block: Block) -> bool:
    return block.weight is not None or block.family in _MULTIPLYING


def _share(model: Model, watched: Watched, labels: Sequence[str], x: AnyArray) -> float:
    """Share of the multiply-accumulates that lies in some layers; of the weights, where none is counted."""
    missing = [block for block in watched.blocks if block.label in labels]
    compared = {block.name for block in watched.blocks if block.label not in labels}
    names = {block.module for block in missing} - compared
    try:
        layers = cost(model, data=x[:1]).layers
    except (InvalidInput, ModelFault):
        layers = ()
    total = sum(layer.macc or 0.0 for layer in layers)
    if total:
        # What the model's own module multiplies is listed under its class.
        own = any(name.startswith("(root)") for name in names)
        found = sum(
            layer.macc or 0.0
            for layer in layers
            if any(layer.name == name or layer.name.startswith(f"{name}.") for name in names)
            or (own and layer.name == layer.kind)
        )
        return float(found / total)
    sizes = {block.label: 0 if block.weight is None else block.weight.size for block in watched.blocks}
    return sum(sizes[block.label] for block in missing) / max(sum(sizes.values()), 1)

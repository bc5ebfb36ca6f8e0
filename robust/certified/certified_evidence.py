"""Evidence of a certified accuracy: what each method proved, what a pass means, and a figure."""

import numpy as np

from robust.certified.margin_bounds import Proof
from robust.certified.network import Network
from robust.certified.tree_boxes import TreeEnsemble
from robust.data.dataset import Dataset
from robust.evidence import Evidence, Fact, Figure, Rows, Series, Values
from robust.measures.details import row_ids
from robust.measures.row_means import share_interval
from robust.types import BoolArray, FloatArray, IntArray, Norm

_MOST_ROWS = 10


def certified_evidence(
    proof: Proof,
    structure: Network | TreeEnsemble,
    data: Dataset,
    right: BoolArray,
    axes: FloatArray,
    *,
    norm: Norm,
    level: float,
    seed: int,
) -> tuple[Evidence, ...]:
    """Evidence of one proof.

    Args:
        proof: What was proved of the rows that are right.
        structure: What it was proved with.
        data: All rows (n).
        right: Which of them are right (n,).
        axes: Budget of each feature (d,).
        norm: Its norm.
        level: Confidence of each bound in the figure.
        seed: Seed of a bootstrap, where one is used.

    Returns:
        The evidence.
    """
    n, kept = len(data), np.flatnonzero(right)
    clean, certified = len(kept) / n, int(proof.proved.sum()) / n
    trees = isinstance(structure, TreeEnsemble)
    by = "leaf boxes" if trees else "interval bounds"
    intervals = int(proof.interval.sum())
    facts: list[Evidence] = [
        Values(metric="accuracy", reference=clean, candidate=certified, names=("clean", "certified")),
        Fact(name=f"rows proved by {by}", value=intervals),
    ]
    if not trees:
        facts.append(Fact(name="rows proved by linear bounds alone", value=int(proof.proved.sum()) - intervals))
    facts += [
        Fact(name="rows right but not proved", value=len(kept) - int(proof.proved.sum())),
        Fact(name="what a pass means", value=_meaning(axes, data, norm)),
        Fact(name="arithmetic", value=_arithmetic(structure)),
    ]
    undecided = np.flatnonzero(~proof.proved)
    if len(undecided):
        order = undecided[np.argsort(-proof.margin[undecided], kind="stable")][:_MOST_ROWS]
        values = tuple(float(f"{margin:.4g}") for margin in proof.margin[order])
        facts.append(
            Rows(
                what="rows right but not proved, nearest to a proof first (lower bound of the margin)",
                ids=row_ids(data, kept[order]),
                values=values if np.isfinite(values).all() else (),
                total=len(undecided),
            )
        )
    facts.append(_figure(proof, data, kept, level=level, seed=seed, by=by))
    return tuple(facts)


def _meaning(axes: FloatArray, data: Dataset, norm: Norm) -> str:
    """What is proved, in words."""
    moving = np.flatnonzero(axes)
    amounts = np.unique(axes[moving])
    if len(moving) == 0:
        return "no change at all is allowed, so that nothing is proved but that the rows are right"
    if len(amounts) == 1 and len(moving) == len(axes):
        budget = f"±{amounts[0]:.3g} of every feature" if norm == "linf" else f"an {norm} norm of {amounts[0]:.3g}"
    else:
        shown = ", ".join(f"±{axes[j]:.3g} of {data.schema.names[j]}" for j in moving[:3])
        more = f" and {len(moving) - 3} more" if len(moving) > 3 else ""
        budget = f"{shown}{more}" + ("" if norm == "linf" else f" ({norm}: all together)")
    return (
        f"for that share of the rows it is proved that no change within {budget}, inside the schema's bounds, makes "
        "the model wrong; rows that are not proved may hold or break"
    )


def _arithmetic(structure: Network | TreeEnsemble) -> str:
    """Which numbers the proof is about."""
    if isinstance(structure, TreeEnsemble):
        return "comparisons are exact, sums over trees are bounded with their rounding in double precision"
    precision = "float32" if structure.unit > 1e-10 else "float64"
    return f"the model's own {precision} sums, in any order, and the bounds' rounding in double precision"


def _figure(proof: Proof, data: Dataset, kept: IntArray, *, level: float, seed: int, by: str) -> Figure:
    """Accuracy clean, and certified by each method, with bounds."""
    stages = [("clean", np.ones(len(kept), dtype=bool)), (by, proof.interval)]
    if by != "leaf boxes":
        stages.append(("linear bounds", proof.proved))
    intervals = []
    for _, holds in stages:
        hits = np.zeros(len(data), dtype=bool)
        hits[kept] = holds
        intervals.append(share_interval(hits, data, level=level, seed=seed))
    return Figure(
        kind="bar",
        title="Certified accuracy",
        x_title="proved by",
        y_title="accuracy",
        columns=(
            Series(name="x", values=tuple(name for name, _ in stages)),
            Series(name="y", values=tuple(interval.value for interval in intervals)),
            Series(name="lower", values=tuple(interval.lower for interval in intervals)),
            Series(name="upper", values=tuple(interval.upper for interval in intervals)),
        ),
        note=f"whiskers are one-sided {level:.0%} bounds",
    )

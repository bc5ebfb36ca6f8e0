"""Counts a fitted scikit-learn estimator or pipeline from its arrays."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from robust.costing.liveness import Buffer, Step, peak_memory
from robust.costing.stored_trees import tree_storage
from robust.costing.tally import Layer, Quantity, Tally, Uncounted
from robust.types import AnyArray

_NOTE = "scikit-learn keeps and computes in the precision that it was fitted in; RAM is that of one row"
#: What transformers that only shift, scale, select or fill in keep for it: attributes by class.
_FEATUREWISE = {
    "StandardScaler": ("mean_", "scale_"),
    "MinMaxScaler": ("min_", "scale_"),
    "MaxAbsScaler": ("scale_",),
    "RobustScaler": ("center_", "scale_"),
    "SimpleImputer": ("statistics_",),
    "Normalizer": (),
    "Binarizer": (),
    "VarianceThreshold": ("variances_",),
    "SelectKBest": ("scores_",),
    "PolynomialFeatures": (),
}
_LINEAR_MODULES = ("sklearn.linear_model.", "sklearn.discriminant_analysis")
_LINEAR_CLASSES = ("LinearSVC", "LinearSVR")
_PROJECTIONS = {
    "PCA": ("components_", "mean_"),
    "TruncatedSVD": ("components_",),
    "IncrementalPCA": ("components_", "mean_"),
}
_EVERYTHING: tuple[Quantity, ...] = ("macc", "parameters", "rom", "ram")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One matrix product, scaler or ensemble of an estimator.

    Args:
        layer: What it costs.
        width: Numbers a row that it hands on; None where that is not known.
        elementwise: Whether it may write over its input.
        missed: What could not be counted, or None.
    """

    layer: Layer
    width: int | None
    elementwise: bool = False
    missed: Uncounted | None = None


def count_estimator(estimator: Any) -> Tally:
    """Count a fitted estimator.

    Args:
        estimator: Fitted.

    Returns:
        The counts of one row; an estimator of another kind than linear models, perceptrons, projections, scalers and
        trees is listed as uncounted, with the bytes of its arrays as the least that it stores.
    """
    parts = [part for name, step in _steps(estimator) for part in _parts(name, step)]
    width = _width(estimator)
    size = _item_size(estimator)
    missed = [part.missed for part in parts if part.missed is not None]
    steps: list[Step] = []
    sizes: dict[Buffer, int] = {}
    if width is None or any(part.width is None for part in parts):
        if not any("ram" in item.affects for item in missed):
            reason = "how many numbers it hands on is not known"
            missed.append(Uncounted(name=type(estimator).__name__, kind="estimator", reason=reason, affects=("ram",)))
    else:
        sizes["input"], last = width * size, "input"
        for i, part in enumerate(parts):
            own = f"{i} {part.layer.name}"
            sizes[own] = (part.width or 0) * size
            steps.append(Step(name=part.layer.name, reads=(last,), writes=(own,), elementwise=part.elementwise))
            last = own
    edges: list[list[Buffer]] = [["input"], [steps[-1].writes[0]]] if steps else [[], []]
    ram, ram_without_io = (
        peak_memory(steps, sizes, inputs=edges[0], outputs=edges[1], boundary=boundary) if steps else None
        for boundary in (True, False)
    )
    return Tally(
        layers=tuple(replace(part.layer, output=(part.width or 0) * size) for part in parts),
        uncounted=tuple(missed),
        parameters=sum(part.layer.parameters for part in parts),
        rom=sum(part.layer.rom for part in parts),
        ram=ram,
        ram_without_io=ram_without_io,
        notes=(_NOTE,),
    )


def _steps(estimator: Any) -> Iterator[tuple[str, Any]]:
    """The estimators that a row goes through, by name, in order."""
    kind = type(estimator).__name__
    if kind == "Pipeline" and _is_own(estimator):
        for name, step in estimator.steps:
            if step is not None and step != "passthrough":
                for inner, part in _steps(step):
                    yield (name if part is step else f"{name}.{inner}"), part
    elif kind == "TransformedTargetRegressor" and _is_own(estimator):
        yield from _steps(estimator.regressor_)
        yield "target", estimator.transformer_
    else:
        yield kind, estimator


def _is_own(estimator: Any) -> bool:
    """Whether a class is scikit-learn's: a class of the same name elsewhere may compute something else."""
    return type(estimator).__module__.startswith("sklearn.")


def _parts(name: str, step: Any) -> list[Part]:
    """What one estimator of a pipeline costs."""
    if _is_own(step):
        for known, count in _KINDS:
            if known(step):
                return count(name, step)
    return [_unknown(name, step)]


def _is_linear(step: Any) -> bool:
    place = type(step).__module__ + "."
    home = place.startswith(_LINEAR_MODULES) or type(step).__name__ in _LINEAR_CLASSES
    return home and isinstance(getattr(step, "coef_", None), np.ndarray)


def _linear(name: str, step: Any) -> list[Part]:
    weights, bias = np.atleast_2d(step.coef_), np.asarray(step.intercept_)
    layer = _layer(name, step, macc=weights.size, trained=(weights, bias))
    return [Part(layer=layer, width=_outputs(step, len(weights)))]


def _perceptron(name: str, step: Any) -> list[Part]:
    parts = []
    for i, (weights, bias) in enumerate(zip(step.coefs_, step.intercepts_, strict=True)):
        layer = _layer(f"{name}.{i}", step, macc=weights.size, trained=(weights, bias), kind="Linear")
        last = i == len(step.coefs_) - 1
        parts.append(Part(layer=layer, width=_outputs(step, len(bias)) if last else len(bias)))
    return parts


def _featurewise(name: str, step: Any) -> list[Part]:
    kept = [getattr(step, attribute, None) for attribute in _FEATUREWISE[type(step).__name__]]
    arrays = tuple(array for array in kept if isinstance(array, np.ndarray))
    layer = _layer(name, step, macc=0, fixed=arrays)
    width = _handed_on(step)
    return [Part(layer=layer, width=width, elementwise=True)]


def _projection(name: str, step: Any) -> list[Part]:
    matrix, *rest = (getattr(step, attribute) for attribute in _PROJECTIONS[type(step).__name__])
    layer = _layer(name, step, macc=matrix.size, trained=(matrix,), fixed=tuple(rest))
    return [Part(layer=layer, width=len(matrix))]


def _trees(name: str, step: Any) -> list[Part]:
    stored = tree_storage(step)
    if stored is None:
        return [_unknown(name, step)]
    numbers, size = stored
    kind = type(step).__name__
    layer = Layer(name=name, kind=kind, macc=None, parameters=numbers, rom=size, output=0)
    missed = Uncounted(name=name, kind=kind, reason="trees compare and do not multiply", affects=("macc",))
    return [Part(layer=layer, width=_outputs(step, getattr(step, "n_outputs_", 1)), missed=missed)]


def _unknown(name: str, step: Any) -> Part:
    """The least that an estimator of another kind stores."""
    seen: dict[int, AnyArray] = {
        id(value): value for value in getattr(step, "__dict__", {}).values() if isinstance(value, np.ndarray)
    }
    rom = sum(array.nbytes for array in seen.values())
    kind = type(step).__name__
    layer = Layer(name=name, kind=kind, macc=None, parameters=0, rom=rom, output=0)
    reason = "estimators of this class are not known; ROM is the bytes of its own arrays, the least that it stores"
    return Part(layer=layer, width=None, missed=Uncounted(name=name, kind=kind, reason=reason, affects=_EVERYTHING))


_KINDS: tuple[tuple[Callable[[Any], bool], Callable[[str, Any], list[Part]]], ...] = (
    (_is_linear, _linear),
    (lambda step: type(step).__name__ in ("MLPClassifier", "MLPRegressor"), _perceptron),
    (lambda step: type(step).__name__ in _FEATUREWISE, _featurewise),
    (lambda step: type(step).__name__ in _PROJECTIONS and not getattr(step, "whiten", False), _projection),
    (lambda step: type(step).__module__.startswith(("sklearn.tree", "sklearn.ensemble")), _trees),
)


def _layer(
    name: str,
    step: Any,
    *,
    macc: int,
    trained: tuple[AnyArray, ...] = (),
    fixed: tuple[AnyArray, ...] = (),
    kind: str | None = None,
) -> Layer:
    return Layer(
        name=name,
        kind=kind or type(step).__name__,
        macc=macc,
        parameters=sum(array.size for array in trained),
        rom=sum(array.nbytes for array in (*trained, *fixed)),
        output=0,
    )


def _outputs(step: Any, scores: int) -> int:
    """Numbers that the last estimator answers with: one a class, also where one score serves two."""
    classes = getattr(step, "classes_", None)
    return scores if classes is None else max(scores, len(classes))


def _handed_on(step: Any) -> int | None:
    """Numbers that a transformer hands on."""
    try:
        return len(step.get_feature_names_out())
    except (AttributeError, ValueError, TypeError):
        return _width(step)


def _width(estimator: Any) -> int | None:
    width = getattr(estimator, "n_features_in_", None)
    return None if width is None else int(width)


def _item_size(estimator: Any) -> int:
    """Bytes of a number between the parts: those of the coefficients, double precision where there are none."""
    for _, step in _steps(estimator):
        for attribute in ("coef_", "coefs_"):
            found = getattr(step, attribute, None)
            first = found[0] if isinstance(found, list) and found else found
            if isinstance(first, np.ndarray):
                return int(first.dtype.itemsize)
    return 8

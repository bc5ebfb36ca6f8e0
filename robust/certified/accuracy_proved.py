"""Certified accuracy: the share of rows that are right, and are proved to stay right."""

from collections.abc import Callable
from typing import Literal

import numpy as np

from robust.certified.certified_evidence import certified_evidence
from robust.certified.margin_bounds import Proof, prove_rows
from robust.certified.network import Network
from robust.certified.perturbations import Perturbations, perturbations
from robust.certified.reading import read_structure, require_same_answers
from robust.certified.smoothing import smoothed_accuracy
from robust.certified.tree_boxes import TreeEnsemble
from robust.certified.true_classes import true_classes
from robust.certified.unsupported import Unsupported
from robust.data.budget import Eps, every_eps, read_norm, require_eps
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import SelfCheck
from robust.measurement import Measurement
from robust.measures.assembling import assemble
from robust.measures.row_means import share_interval
from robust.measures.unanswered import clean_silence
from robust.models.conversion import as_model
from robust.predicting.answered import predict_answered
from robust.predicting.calling import bind
from robust.predicting.metering import metered
from robust.predicting.settings import current_settings
from robust.randomness import read_seed
from robust.types import FloatArray, IntArray

_METHODS = ("interval", "linear", "smoothing")


def certified_accuracy(
    model: object,
    data: object,
    *,
    eps: Eps,
    norm: str = "linf",
    method: Literal["interval", "linear", "smoothing"] | None = None,
    sigma: Eps | None = None,
    draws: int = 1000,
    alpha: float = 0.001,
    level: float = 0.95,
    seed: int = 0,
) -> Measurement:
    """Measure the share of rows that a classifier gets right, and provably still does after any change within eps.

    (1/n) Σ 1[f(x_i) = y_i and min over x' of (f_y(x') − max_j≠y f_j(x')) > 0 is proved], ‖x' − x_i‖ ≤ eps in the bounds

    It is a lower bound on the accuracy under the worst change of that size, as `robust_accuracy` is an upper one: a row
    that is not proved may hold or break. The changes are those of the schema: immutable features stay, whole ones are
    taken for continuous between whole ends, relations are left out, so that more is proved than is needed. What is
    proved holds for the model's own arithmetic, not only for exact numbers: rounding in its precision (float32 sums in
    any order) and in the bounds' doubles is subtracted.

    Args:
        model: A classifier, or what `as_model` takes: a torch feed-forward or convolutional ReLU network, an ONNX file
            of one in floating point, scikit-learn's linear classifiers, MLPClassifier with ReLU, and trees.
        data: Rows with true labels, or what `as_data` takes.
        eps: A budget in the data's units: a number, or numbers by feature name (the others stay).
        norm: Norm of `eps`: `linf`, `l2` or `l1`.
        method: `interval` propagates an interval for each value (fast, loose); `linear` relaxes each rectifier to lines
            and goes back to the input (tight, slow); None asks linear bounds about the rows that intervals leave; trees
            have `interval` alone. `smoothing` takes any classifier, and certifies another model: see
            `smoothed_accuracy`, which takes sigma, draws and alpha.
        sigma: With `smoothing`, standard deviation of the noise.
        draws: With `smoothing`, draws a row.
        alpha: With `smoothing`, chance that a row is certified wrongly.
        level: Confidence of each one-sided bound, in (0.5, 1).
        seed: Seed of a bootstrap or of the noise, where one is used.

    Returns:
        The share, in [0, 1], higher is better; bounds are Clopper-Pearson's for the share of such rows among all rows
        like these, or a bootstrap's where rows depend on each other.

    Raises:
        InvalidInput: On a budget that is none, data outside its bounds, a model that is no classifier of these labels;
            `Unsupported`, which is one, names an operator that no bound is known for.

    Source:
        Gowal et al. (2018), section 3 (intervals); Zhang et al. (2018), theorem 3.2, and Singh et al. (2019)
        (lines).

    >>> rows = np.array([[-3.0], [-0.5], [0.5], [3.0]])
    >>> from sklearn.linear_model import LogisticRegression
    >>> fitted = LogisticRegression().fit(rows, [0, 0, 1, 1])  # by symmetry it decides at 0
    >>> m = certified_accuracy(fitted, (rows, [0, 0, 1, 1]), eps=1.0)
    >>> m.value, m.n, m.method  # rows at ±3 cannot be moved across 0, rows at ±0.5 can
    (0.5, 4, 'clopper-pearson')
    """
    if method == "smoothing":
        return smoothed_accuracy(
            model, data, eps=eps, norm=norm, sigma=sigma, draws=draws, alpha=alpha, level=level, seed=seed
        )
    if method is not None and method not in _METHODS:
        raise InvalidInput(f"method got {method!r}; None or one of {', '.join(map(repr, _METHODS))} would be right")
    if sigma is not None:
        raise InvalidInput(f'sigma got {sigma!r}; it belongs to method="smoothing"')
    budget, ball, seed = require_eps(eps), read_norm(norm), read_seed(seed)
    model, data = as_model(model), as_data(data)
    with metered() as meter:
        predictions, answered = predict_answered(model, data)
        y = true_classes(predictions, data)
        right = np.zeros(len(data), dtype=bool)
        right[answered] = predictions.labels == y[answered]
        structure = read_structure(model, data)
        require_same_answers(structure, predictions, data.rows(answered))
        axes = every_eps(budget, data.schema)
        kept, caller = np.flatnonzero(right), bind(model, data.schema)
        changes = perturbations(data.schema.flat(data.x)[kept], data.schema, eps=axes, norm=ball)
        kind = repr((data.schema.key(), sorted(budget.items()) if isinstance(budget, dict) else budget, ball, method))
        key = caller.key("certified", kind, data.x[kept], y[kept])
        proof = _kept(key, lambda: _proof(structure, changes, y[kept], method=method))
        proved = np.zeros(len(data), dtype=bool)
        proved[kept] = proof.proved
        return assemble(
            share_interval(proved, data, level=level, seed=seed),
            name="certified_accuracy",
            unit="share",
            higher_is_better=True,
            models=(model,),
            data=data,
            meter=meter,
            seed=seed,
            options={"eps": budget, "norm": ball, "method": method},
            evidence=(
                *clean_silence(caller, data, ~answered, counted="wrong"),
                *certified_evidence(proof, structure, data, right, axes, norm=ball, level=level, seed=seed),
            ),
            validity=(_room(axes),),
            row_values=proved.astype(np.float64),
        )


def _kept(key: str | None, prove: Callable[[], Proof]) -> Proof:
    """A proof from the cache of predictions, or worked out and kept there."""
    cache = current_settings().cache
    found = None if key is None else cache.get(key)
    if found is not None:
        return Proof(margin=found[0], interval=found[1] > 0)
    proof = prove()
    if key is not None:
        cache.put(key, np.stack([proof.margin, proof.interval.astype(np.float64)]))
    return proof


def _proof(
    structure: Network | TreeEnsemble,
    changes: Perturbations,
    y: IntArray,
    *,
    method: str | None,
) -> Proof:
    """What can be proved of the rows that are right."""
    if isinstance(structure, TreeEnsemble):
        if method == "linear":
            raise Unsupported('method="linear" of trees, whose leaves are boxes (leave method out),')
        return structure.prove(changes, y)
    return prove_rows(
        structure, changes, y, method="linear" if method == "linear" else None if method is None else "interval"
    )


def _room(axes: FloatArray) -> SelfCheck:
    """Whether any feature may move."""
    moves = bool((axes > 0).any())
    reason = "budget and schema let features move" if moves else "budget and schema let no feature move"
    return SelfCheck(name="room to move", passed=moves, reason=reason, bias="raises")

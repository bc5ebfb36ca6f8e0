"""Public classification measures."""

from typing import Any

from robust.data.live import as_data
from robust.measurement import Measurement
from robust.measures.class_averages import Threshold, measure_ratio
from robust.measures.single import measure_metric
from robust.metrics.class_ratios import Average
from robust.metrics.classification import ACCURACY, BRIER, LOG_LOSS
from robust.metrics.ranking import AUC
from robust.models.base import Label
from robust.models.conversion import as_model


def accuracy(model: Any, data: Any, *, level: float = 0.95, seed: int = 0) -> Measurement:
    """Share of rows that a classifier gets right.

    accuracy = (1/n) Σ 1[ŷ_i = y_i]; where a row can have several labels, all of them must be right

    Args:
        model: Anything `as_model` takes.
        data: Anything `as_data` takes; targets are labels (n,), or one-hot (n, k).
        level: Confidence of each bound, in (0.5, 1).
        seed: Seed of the bootstrap; used only where rows have an order or groups.

    Returns:
        A share in [0, 1], higher is better. Bounds are exact (Clopper and Pearson 1934); with an order they come
        from a stationary block bootstrap, with groups from clusters. Evidence: accuracy by class and column, wrong
        rows, the confusion matrix, and pairs of classes that are confused more one way than the other.

    Raises:
        InvalidInput: If labels and outputs do not fit.
        ModelFault: If the model breaks its contract.

    >>> import numpy as np
    >>> accuracy(lambda x: (x[:, 0] > 0).astype(int), (np.array([[1.0], [-1.0], [2.0]]), [1, 0, 0])).value.__round__(4)
    0.6667
    """
    return measure_metric(ACCURACY, as_model(model), as_data(data), level=level, seed=seed)


def precision(
    model: Any,
    data: Any,
    *,
    average: Average | None = None,
    label: Label | None = None,
    threshold: Threshold | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Measurement:
    """Share of predictions of a class that are right.

    precision_c = TP_c / (TP_c + FP_c); 0 for a class that is never predicted, which the evidence says

    Args:
        model: Anything `as_model` takes.
        data: Anything `as_data` takes; targets are labels (n,), one-hot or multi-label (n, k).
        average: Over the classes that occur among labels or predictions: `macro` (each alike; the default), `weighted`
            by their rows, or `micro` (of the summed counts; with one label a row the accuracy).
        label: One class instead of an average.
        threshold: Scores ≥ this are detections: of the second of two classes, of `label`, or of each of several labels.
            A number from 0 to 1, or what `choose_threshold` gives: then rows that it was chosen on make the measure
            `INVALID`.
        level: Confidence of each bound, in (0.5, 1).
        seed: Seed of the bootstrap.

    Returns:
        A value in [0, 1], higher is better. Bounds: BCa bootstrap (Efron 1987) of an average; exact (Clopper and
        Pearson 1934), given the number of predictions, of one class; blocks or clusters where rows have an order or
        groups.
        Evidence: precision of each class.

    Raises:
        InvalidInput: If the arguments contradict each other, or labels and outputs do not fit.
        ModelFault: If the model breaks its contract.

    >>> import numpy as np
    >>> data = (np.array([[0.2], [0.6], [0.7], [0.9]]), [0, 1, 0, 1])
    >>> net = as_model(lambda x: x[:, 0], output="probabilities")
    >>> precision(net, data).value.__round__(4), precision(net, data, label=1, threshold=0.8).value
    (0.8333, 1.0)
    """
    return measure_ratio(
        "precision",
        as_model(model),
        as_data(data),
        average=average,
        label=label,
        threshold=threshold,
        level=level,
        seed=seed,
    )


def recall(
    model: Any,
    data: Any,
    *,
    average: Average | None = None,
    label: Label | None = None,
    threshold: Threshold | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Measurement:
    """Share of the rows of a class that are found.

    recall_c = TP_c / (TP_c + FN_c); 0 for a class without rows, which the evidence says

    Args:
        model: Anything `as_model` takes.
        data: As of `precision`.
        average: As of `precision`; `weighted` and `micro` are the accuracy where a row has one label.
        label: One class instead of an average.
        threshold: As of `precision`.
        level: Confidence of each bound, in (0.5, 1).
        seed: Seed of the bootstrap.

    Returns:
        A value in [0, 1], higher is better; bounds as of `precision`, those of one class given its number of rows.

    Raises:
        InvalidInput: If the arguments contradict each other, or labels and outputs do not fit.
        ModelFault: If the model breaks its contract.

    >>> import numpy as np
    >>> data = (np.array([[0.2], [0.6], [0.7], [0.9]]), [0, 1, 0, 1])
    >>> net = as_model(lambda x: x[:, 0], output="probabilities")
    >>> recall(net, data).value, recall(net, data, label=1, threshold=0.8).value
    (0.75, 0.5)
    """
    return measure_ratio(
        "recall",
        as_model(model),
        as_data(data),
        average=average,
        label=label,
        threshold=threshold,
        level=level,
        seed=seed,
    )


def f1(
    model: Any,
    data: Any,
    *,
    average: Average | None = None,
    label: Label | None = None,
    threshold: Threshold | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Measurement:
    """F1 of a classifier: the harmonic mean of precision and recall.

    F1_c = 2 TP_c / (2 TP_c + FP_c + FN_c); macro: (1/K) Σ_c F1_c over the classes that occur

    Args:
        model: Anything `as_model` takes.
        data: As of `precision`.
        average: As of `precision`.
        label: One class instead of an average.
        threshold: As of `precision`; at a threshold of two classes it is the F1 of the second.
        level: Confidence of each bound, in (0.5, 1).
        seed: Seed of the bootstrap.

    Returns:
        A value in [0, 1], higher is better; BCa bootstrap bounds (Efron 1987), never narrower than what the wrong
        rows can prove when fewer than 10 are wrong. Those of one class are exact: F1 = 2J/(1 + J) rises with the share
        J of hits among rows that are of the class or predicted as it.

    Raises:
        InvalidInput: If the arguments contradict each other, or labels and outputs do not fit.
        ModelFault: If the model breaks its contract.

    >>> import numpy as np
    >>> f1(lambda x: np.zeros(len(x), int), (np.zeros((4, 1)), [0, 0, 0, 1])).value.__round__(4)
    0.4286
    """
    return measure_ratio(
        "f1",
        as_model(model),
        as_data(data),
        average=average,
        label=label,
        threshold=threshold,
        level=level,
        seed=seed,
    )


def log_loss(model: Any, data: Any, *, level: float = 0.95, seed: int = 0) -> Measurement:
    """Mean negative log-likelihood of the true classes.

    log-loss = −(1/n) Σ ln p_i(y_i), probabilities clipped to [ε, 1] with ε = 2⁻⁵²; of several labels a row the mean
    over them of −ln p or −ln(1 − p). Rows that miss a sum of 1 by more than 0.001 are divided by it

    Args:
        model: Anything `as_model` takes, with probabilities or logits.
        data: Anything `as_data` takes; targets are labels (n,), one-hot or multi-label (n, k).
        level: Confidence of each bound, in (0.5, 1).
        seed: Seed of the bootstrap.

    Returns:
        Nats in [0, 36.05], lower is better; BCa bootstrap bounds (Efron 1987), beyond 20,000 rows their closed form
        (DiCiccio and Efron 1992).

    Raises:
        InvalidInput: If the model gives labels only, or labels and outputs do not fit.
        ModelFault: If the model breaks its contract.

    >>> import numpy as np
    >>> half = as_model(lambda x: np.full((len(x), 2), 0.5), output="probabilities")
    >>> log_loss(half, (np.zeros((4, 1)), [0, 1, 0, 1])).value.__round__(4)
    0.6931
    """
    return measure_metric(LOG_LOSS, as_model(model), as_data(data), level=level, seed=seed)


def brier(model: Any, data: Any, *, level: float = 0.95, seed: int = 0) -> Measurement:
    """Brier score: mean squared distance of the probabilities from the truth.

    (1/n) Σ_i Σ_k (p_ik − 1[y_i = k])²; with two classes half of it, (1/n) Σ (p_i1 − y_i)²: the conventions of
    scikit-learn's `brier_score_loss`, whose `scale_by_half="auto"` halves the sum of two classes alone; of several
    labels a row the mean over them of (p_ik − y_ik)². Rows that miss a sum of 1 by more than 0.001 are divided by it

    Args:
        model: Anything `as_model` takes, with probabilities or logits.
        data: Anything `as_data` takes; targets are labels (n,), one-hot or multi-label (n, k).
        level: Confidence of each bound, in (0.5, 1).
        seed: Seed of the bootstrap.

    Returns:
        A value in [0, 2], with two classes or several labels in [0, 1], lower is better; bounds as of `log_loss`.

    Raises:
        InvalidInput: If the model gives labels only, or labels and outputs do not fit.
        ModelFault: If the model breaks its contract.

    Source: Brier (1950), Monthly Weather Review 78:1.

    >>> import numpy as np
    >>> half = as_model(lambda x: np.full((len(x), 2), 0.5), output="probabilities")
    >>> brier(half, (np.zeros((4, 1)), [0, 1, 0, 1])).value
    0.25
    """
    return measure_metric(BRIER, as_model(model), as_data(data), level=level, seed=seed)


def auc(model: Any, data: Any, *, level: float = 0.95, seed: int = 0) -> Measurement:
    """Area under the ROC curve; one-vs-rest, macro-averaged, when there are more than two classes.

    AUC = P(s⁺ > s⁻) + ½ P(s⁺ = s⁻)

    Args:
        model: Anything `as_model` takes, with probabilities or logits.
        data: Anything `as_data` takes; targets are labels (n,), each class at least once, one-hot or multi-label (n,
            k).
        level: Confidence of each bound, in (0.5, 1).
        seed: Seed of the bootstrap; used only where rows have an order or groups.

    Returns:
        A value in [0, 1], higher is better, 0.5 is chance; bounds of DeLong, DeLong and Clarke-Pearson (1988) in the
        fast form of Sun and Xu (2014). Evidence: the area and the ROC curve of each class.

    Raises:
        InvalidInput: If a class has no rows, or the model gives labels only.
        ModelFault: If the model breaks its contract.

    >>> import numpy as np
    >>> ranks = as_model(lambda x: np.hstack([1 - x, x]), output="probabilities")
    >>> auc(ranks, (np.array([[0.1], [0.4], [0.35], [0.8]]), [0, 0, 1, 1])).value
    0.75
    """
    return measure_metric(AUC, as_model(model), as_data(data), level=level, seed=seed)

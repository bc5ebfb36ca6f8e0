"""Public classification measures."""

from typing import Any

from robust.data.live import as_data
from robust.measurement import Measurement
from robust.measures.single import measure_metric
from robust.metrics.classification import ACCURACY, F1, LOG_LOSS
from robust.metrics.ranking import AUC
from robust.models.conversion import as_model


def accuracy(model: Any, data: Any, *, level: float = 0.95, seed: int = 0) -> Measurement:
    """Share of rows that a classifier gets right.

    accuracy = (1/n) Σ 1[ŷ_i = y_i]

    Args:
        model: Anything `as_model` takes.
        data: Anything `as_data` takes; targets are labels (n,).
        level: Confidence of each bound, in (0.5, 1).
        seed: Seed of the bootstrap; used only where rows have an order or groups.

    Returns:
        A share in [0, 1], higher is better. Bounds are exact (Clopper and Pearson 1934); with an order they come
        from a stationary block bootstrap, with groups from clusters.

    Raises:
        InvalidInput: If labels and outputs do not fit.
        ModelFault: If the model breaks its contract.

    >>> import numpy as np
    >>> accuracy(lambda x: (x[:, 0] > 0).astype(int), (np.array([[1.0], [-1.0], [2.0]]), [1, 0, 0])).value.__round__(4)
    0.6667
    """
    return measure_metric(ACCURACY, as_model(model), as_data(data), level=level, seed=seed)


def f1(model: Any, data: Any, *, level: float = 0.95, seed: int = 0) -> Measurement:
    """Macro-averaged F1 of a classifier.

    F1 = (1/K) Σ_c 2 TP_c / (2 TP_c + FP_c + FN_c), over the classes that occur among labels or predictions

    Args:
        model: Anything `as_model` takes.
        data: Anything `as_data` takes; targets are labels (n,).
        level: Confidence of each bound, in (0.5, 1).
        seed: Seed of the bootstrap.

    Returns:
        A value in [0, 1], higher is better; BCa bootstrap bounds (Efron 1987), never narrower than what the wrong
        rows can prove when fewer than 10 are wrong.

    Raises:
        InvalidInput: If labels and outputs do not fit.
        ModelFault: If the model breaks its contract.

    >>> import numpy as np
    >>> f1(lambda x: np.zeros(len(x), int), (np.zeros((4, 1)), [0, 0, 0, 1])).value.__round__(4)
    0.4286
    """
    return measure_metric(F1, as_model(model), as_data(data), level=level, seed=seed)


def log_loss(model: Any, data: Any, *, level: float = 0.95, seed: int = 0) -> Measurement:
    """Mean negative log-likelihood of the true classes.

    log-loss = −(1/n) Σ ln p_i(y_i), probabilities clipped to [ε, 1] with ε = 2⁻⁵²

    Args:
        model: Anything `as_model` takes, with probabilities or logits.
        data: Anything `as_data` takes; targets are labels (n,).
        level: Confidence of each bound, in (0.5, 1).
        seed: Seed of the bootstrap.

    Returns:
        Nats in [0, 36.05], lower is better; BCa bootstrap bounds (Efron 1987).

    Raises:
        InvalidInput: If the model gives labels only, or labels and outputs do not fit.
        ModelFault: If the model breaks its contract.

    >>> import numpy as np
    >>> half = as_model(lambda x: np.full((len(x), 2), 0.5), output="probabilities")
    >>> log_loss(half, (np.zeros((4, 1)), [0, 1, 0, 1])).value.__round__(4)
    0.6931
    """
    return measure_metric(LOG_LOSS, as_model(model), as_data(data), level=level, seed=seed)


def auc(model: Any, data: Any, *, level: float = 0.95, seed: int = 0) -> Measurement:
    """Area under the ROC curve; one-vs-rest, macro-averaged, when there are more than two classes.

    AUC = P(s⁺ > s⁻) + ½ P(s⁺ = s⁻)

    Args:
        model: Anything `as_model` takes, with probabilities or logits.
        data: Anything `as_data` takes; targets are labels (n,), each class at least once.
        level: Confidence of each bound, in (0.5, 1).
        seed: Seed of the bootstrap; used only where rows have an order or groups.

    Returns:
        A value in [0, 1], higher is better, 0.5 is chance; bounds of DeLong, DeLong and Clarke-Pearson (1988) in the
        fast form of Sun and Xu (2014).

    Raises:
        InvalidInput: If a class has no rows, or the model gives labels only.
        ModelFault: If the model breaks its contract.

    >>> import numpy as np
    >>> ranks = as_model(lambda x: np.hstack([1 - x, x]), output="probabilities")
    >>> auc(ranks, (np.array([[0.1], [0.4], [0.35], [0.8]]), [0, 0, 1, 1])).value
    0.75
    """
    return measure_metric(AUC, as_model(model), as_data(data), level=level, seed=seed)

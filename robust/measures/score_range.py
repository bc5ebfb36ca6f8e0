"""Thresholds that a class score can reach."""

from robust.errors import InvalidInput
from robust.predicting.meaning import DECLARED_TOLERANCE


def require_reachable(threshold: float) -> float:
    """A threshold on a class score, which is a probability.

    Args:
        threshold: A finite number. 0 detects every row, 1 those of which the model is certain; scores of quantized
            models are taken as they are, so that up to 0.01 beyond is a threshold as well.

    Returns:
        The number.

    Raises:
        InvalidInput: If it lies further out: every row, or none, would be detected without a word.

    >>> require_reachable(0.5)
    0.5
    """
    if -DECLARED_TOLERANCE <= threshold <= 1.0 + DECLARED_TOLERANCE:
        return threshold
    raise InvalidInput(
        f"threshold got {threshold:g}, which detects {'no row' if threshold > 1 else 'every row'}: scores are "
        "probabilities, those of logits their softmax (of several labels the logistic function); a number from 0 to 1 "
        "would be right"
    )

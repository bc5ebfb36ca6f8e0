"""A plain function of targets and predictions, such as one of scikit-learn's, as a metric of two models."""

import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal, TypeAlias, get_args

from robust.errors import InvalidInput

Form: TypeAlias = Literal["labels", "probabilities", "values"]


@dataclass(frozen=True, slots=True)
class Statistic:
    """Makes a metric for `degradation` of a function of targets and predictions.

    The change of the figure between two models gets a paired BCa bootstrap over distinct rows; where few rows differ,
    its bounds are no narrower than these rows prove, with the largest effect that one row was found to have when its
    prediction is changed.

    Args:
        function: `(y, prediction) -> float`, e.g. `sklearn.metrics.matthews_corrcoef`. It must not depend on the order
            of the rows. Where it takes `sample_weight`, and that was seen to mean repeated rows, it is asked about
            distinct rows alone, which is faster.
        of: What it is given beside the targets y: predicted `labels` (n,), as y names them; class `probabilities`
            (n, k), their columns in the order of the reference's classes; or predicted `values` (n,) or (n, k). Of a
            multi-label model y and labels are zeros and ones (n, k).
        higher_is_better: Direction of the figure.
        name: Shown in reports; the function's own name where not given.
        unit: Unit of the figure.
        low: Smallest value that it can take.
        high: Largest value.

    Raises:
        InvalidInput: If the function is none, its form or range is unknown, or the name is missing.

    >>> from sklearn.metrics import matthews_corrcoef
    >>> Statistic(matthews_corrcoef, higher_is_better=True, low=-1, high=1).label
    'matthews_corrcoef'
    """

    function: Callable[[Any, Any], float]
    _: KW_ONLY
    higher_is_better: bool
    of: Form = "labels"
    name: str | None = None
    unit: str = "score"
    low: float = -math.inf
    high: float = math.inf

    def __post_init__(self) -> None:
        """Check the parts."""
        if not callable(self.function):
            raise InvalidInput(
                f"function got {self.function!r}; a function (y, prediction) -> float, such as "
                "sklearn.metrics.matthews_corrcoef, would be right"
            )
        if self.of not in get_args(Form):
            raise InvalidInput(f"of got {self.of!r}; one of {', '.join(get_args(Form))} would be right")
        if not isinstance(self.higher_is_better, bool):
            raise InvalidInput(f"higher_is_better got {self.higher_is_better!r}; True or False would be right")
        if not self.low < self.high:
            raise InvalidInput(f"low and high got {self.low} and {self.high}; a range of values would be right")

    @property
    def label(self) -> str:
        """Its name."""
        found = self.name or getattr(self.function, "__name__", None) or getattr(_inner(self.function), "__name__", "")
        return str(found) or type(self.function).__name__


def _inner(function: object) -> object:
    """What a `functools.partial` calls."""
    return getattr(function, "func", None)

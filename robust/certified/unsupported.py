"""The error of a model that no bound is known for."""

from robust.errors import InvalidInput


class Unsupported(InvalidInput):
    """A part of a model has no known bounds; the message names it, and what can be done.

    Args:
        part: The part, as the subject of the message.

    >>> str(Unsupported("GELU"))[:40]
    'GELU has no bounds here, so that nothing'
    """

    def __init__(self, part: str) -> None:
        super().__init__(
            f"{part} has no bounds here, so that nothing can be proved of this model: known are linear, convolution, "
            "batch norm, ReLU, leaky ReLU, average and max pooling, flatten, sums of branches, and scikit-learn's "
            'linear models, ReLU networks and trees; method="smoothing" takes any classifier'
        )
        self.part = part

    def __reduce__(self) -> tuple[type["Unsupported"], tuple[str]]:
        """Pickle by the part alone."""
        return type(self), (self.part,)

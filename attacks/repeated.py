"""How often a model is asked about one row: once, unless its answers turn out to be random."""

from dataclasses import dataclass
from typing import Self

# Enough for a majority; a random model costs as many times the passes of another.
_SEVERAL = 5


@dataclass(slots=True, eq=False)
class Askings:
    """How often each row is asked; shared by all parts of a target, since what one of them learns is true of all.

    Args:
        times: Answers of which the mean is taken: of labels, so that the majority decides; of scores and gradients, so
            that an attack climbs what it expects (Athalye, Engstrom, Ilyas and Kwok 2018, section 2).
    """

    times: int = 1

    def random(self) -> None:
        """The same rows got other answers when they were asked again."""
        self.times = _SEVERAL

    @classmethod
    def of_random(cls) -> Self:
        """Those of a model whose answers are known to be random."""
        return cls(times=_SEVERAL)

"""A mistake and the training rows nearest to it."""

from dataclasses import dataclass

from robust.evidence import RowId


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """One training row near a mistake.

    Args:
        id: Its id.
        label: Its label.
        distance: Euclidean distance in standardised features, per feature: √(mean of squared differences).
    """

    id: RowId
    label: str
    distance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MistakeNeighbours:
    """A mistake and the training rows nearest to it.

    Args:
        id: Id of the wrong row.
        label: Its true label.
        predicted: Its predicted label.
        neighbours: The k nearest training rows, nearest first.
    """

    id: RowId
    label: str
    predicted: str
    neighbours: tuple[Neighbour, ...]

    @property
    def agreeing(self) -> int:
        """Neighbours that carry the predicted label."""
        return sum(neighbour.label == self.predicted for neighbour in self.neighbours)

    @property
    def contradicted(self) -> bool:
        """Whether the same inputs are in the training rows under the label that was predicted."""
        return any(near.distance == 0 and near.label == self.predicted for near in self.neighbours)

    @property
    def sentence(self) -> str:
        """What the neighbours say, in words."""
        k = len(self.neighbours)
        carry = f"{self.agreeing} of {k} neighbours carry the predicted label {self.predicted}"
        same = "; the same inputs are among the training rows under that label" if self.contradicted else ""
        return f"row {self.id}, {self.label} taken for {self.predicted}: {carry}{same}"

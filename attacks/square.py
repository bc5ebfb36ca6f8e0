"""The Square attack: random search with blocks of features at the edge of the ball."""

from dataclasses import dataclass

from robust.attacks.base import Attack
from robust.attacks.hyper_parameters import read_hyper_parameters
from robust.attacks.projection import Space
from robust.attacks.score_search import Reach, search_scores
from robust.attacks.square_blocks import Blocks
from robust.attacks.target import Target
from robust.data.budget import Eps, category_eps, read_share
from robust.errors import InvalidInput
from robust.types import AnyArray, Norm

_STREAM = 64 << 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Square(Attack):
    """Random search on scores with squares of the image, or blocks of other rows, at the edge of the ball; black-box.

    linf: a window of a share p of the pixels is set to x ± eps, one sign a channel; l2, l1: a window takes the norm of
    another and what is left of the budget; kept if max_{j≠y} f_j − f_y does not fall. p halves on a schedule.

    Rows of shape (c, h, w), (h, w, c) or (h, w) have windows as nearly square as they fit; rows of one axis (series,
    tables) have runs of neighbours and random subsets in turn, of the same share. One-hot groups jump to random
    members, whole features by whole steps. Every row has its own schedule and its own random numbers.

    Args:
        eps: Budget in the user's units: a number, numbers by feature name, or None for a template.
        norm: `linf`, `l2` or `l1`.
        queries: Forward passes a row at most.
        share: Share p of the features that the first block takes, in (0, 1].

    Raises:
        InvalidInput: If a hyper-parameter is out of range.

    Source:
        Andriushchenko, Croce, Flammarion and Hein (2020), algorithms 1 to 3; first share: Croce and Hein (2020).

    >>> Square(eps=0.1, queries=200)
    Square(eps=0.1, norm='linf', queries=200, share=0.8)
    """

    eps: Eps | None = None
    norm: Norm = "linf"
    queries: int = 1000
    share: float = 0.8

    def __post_init__(self) -> None:
        """Check the hyper-parameters."""
        read_hyper_parameters(self, "queries")
        object.__setattr__(self, "share", read_share(self.share, "share"))
        if self.share > 1:
            raise InvalidInput(f"share got {self.share!r}; a share of the features, above 0 and at most 1, is right")

    @property
    def gradients(self) -> bool:
        """It needs none."""
        return False

    def search(self, target: Target, space: Space, *, seed: int) -> AnyArray:
        """Random search with blocks."""
        reach = Reach(space=space, categories=category_eps(self.eps, space.schema))
        blocks = Blocks(reach=reach, share=self.share, queries=self.queries)
        return search_scores(target, reach, blocks, queries=self.queries, seed=seed, stream=_STREAM)

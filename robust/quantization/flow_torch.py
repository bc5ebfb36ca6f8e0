"""What one run of a torch module did with the tensors that it stores."""

from dataclasses import dataclass, field

from robust.costing.liveness import Buffer
from robust.quantization.stored_tensors_torch import Origin, Root


@dataclass(slots=True, kw_only=True)
class Use:
    """One factor of one product, or one table.

    Args:
        origin: What it was made of.
        size: How many numbers it has.
        step: Number of the operator.
        whole: Whether all factors are whole numbers.
    """

    origin: Origin
    size: int
    step: int
    whole: bool = False


@dataclass(slots=True, kw_only=True)
class Flow:
    """What a run did with stored tensors.

    Args:
        roots: By identity.
        uses: Factors and tables.
        unread: Stored tensors that an operator took that nobody here knows, by the operator's number.
        steps: Memory that each operator read and wrote, in order.
        outputs: Memory of what the run returned; None where it returned no tensor that is seen.
        outside: What the run took that is neither input nor stored by a module, as values that equal those of equal
            tensors.
        ran: Identities of the modules that were called, and of the parts in which these keep packed weights.
        constant: Contents of tensors from elsewhere that are known to be constant.
        idle: Numbers of the operators whose factors could be any others, since all outputs stay as they are.
    """

    roots: dict[int, Root]
    uses: list[Use] = field(default_factory=list)
    unread: list[tuple[int, Origin]] = field(default_factory=list)
    steps: list[tuple[frozenset[Buffer], frozenset[Buffer], bool]] = field(default_factory=list)
    outputs: frozenset[Buffer] | None = None
    outside: set[object] = field(default_factory=set)
    ran: set[int] = field(default_factory=set)
    constant: frozenset[object] = frozenset()
    idle: set[int] = field(default_factory=set)

    def live(self) -> set[int]:
        """Numbers of the operators whose results reach the output, or a number that the code went on with."""
        if self.outputs is None:
            return set(range(len(self.steps))) - self.idle
        wanted, found = set(self.outputs), set()
        for place in reversed(range(len(self.steps))):
            read, written, kept = self.steps[place]
            if kept or not wanted.isdisjoint(written):
                found.add(place)
                wanted |= read
        return found - self.idle

"""The number: a value with proven bounds, never a bare float."""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, NoReturn, Self

from msgspec import structs

from robust.errors import InvalidInput
from robust.evidence import Evidence, Provenance, SelfCheck
from robust.limits import as_limit, is_number
from robust.verdict import Operator, Status, Verdict, judge, reach_of

if TYPE_CHECKING:
    from robust.intervals.interval import Sizing
    from robust.types import FloatArray

OPPOSITE = {"raises": "lowers", "lowers": "raises", "either": "either", "none": "none"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Affine:
    """Bounds of scale·m + shift at another n."""

    sizing: "Sizing"
    scale: float
    shift: float

    def at(self, n: int) -> tuple[float, float]:
        """Bounds at n rows, in order."""
        ends = [self.scale * bound + self.shift for bound in self.sizing.at(n)]
        return min(ends), max(ends)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Measurement:
    """A measured value with one-sided confidence bounds; comparing it with a limit is the statistical test.

    Args:
        name: What was measured.
        value: Point estimate; NaN only together with a failed self-check of bias `either`.
        lower: Lower bound, one-sided at `level`; −inf where nothing can be proved.
        upper: Upper bound, one-sided at `level`; together a 2·level − 1 two-sided interval.
        level: Confidence of each bound, in (0.5, 1).
        n: Rows that it rests on.
        unit: `share`, `relative`, `nats`, the target's unit, …
        higher_is_better: Direction; None for a measure that has none.
        method: How the bounds were made, e.g. `tango-corrected`; `exact` where there is no sampling error.
        sizing: How the bounds move with n.
        evidence: Structured facts.
        validity: Self-checks of the measurement.
        provenance: Hashes, seed, options, cost.
        row_values: The value of each row (n,), where `value` is their mean: what `degradation` pairs when
            this measure is its metric. Not part of a record.
        reach: Smallest and largest value that there can be; None for what the unit says.
        resolution: By how much other settings of the host (threads, graph optimization) were seen to move the value:
            a verdict that this could turn is `INVALID`.

    Raises:
        InvalidInput: If the bounds do not enclose the value, an exact measure has a width, it rests on no
            row, or the value is NaN without a failed self-check.

    >>> m = Measurement(name="accuracy", value=0.9, lower=0.85, upper=0.94, n=100, method="clopper-pearson")
    >>> m
    <Measurement accuracy 0.9000 (0.8500 .. 0.9400, 90% two-sided, n=100, clopper-pearson)>
    >>> m > 0.8
    0.9 > 0.8 [PASS: 95% lower bound 0.85, n=100]
    >>> (m > 0.88).status
    'INCONCLUSIVE'
    """

    name: str
    value: float
    lower: float
    upper: float
    n: int
    method: str
    level: float = 0.95
    unit: str = "share"
    higher_is_better: bool | None = None
    sizing: "Sizing | None" = None
    evidence: tuple[Evidence, ...] = ()
    validity: tuple[SelfCheck, ...] = ()
    provenance: Provenance = Provenance()  # noqa: RUF009 - immutable
    row_values: "FloatArray | None" = None
    reach: tuple[float, float] | None = None
    resolution: float = 0.0

    # numpy scalars and arrays on the left of a comparison must hand it to us.
    __array_ufunc__: ClassVar[None] = None
    __hash__ = object.__hash__

    def __post_init__(self) -> None:
        """Refuse a number that cannot be judged."""
        if math.isnan(self.value):
            if not any(not check.passed and check.bias == "either" for check in self.validity):
                raise InvalidInput(f"{self.name} is NaN: a value that is not a number cannot be judged")
        elif not self.lower <= self.value <= self.upper:
            raise InvalidInput(
                f"the bounds of {self.name} must enclose its value, got {self.lower} .. {self.value} .. {self.upper}"
            )
        elif self.exact and self.lower != self.upper:
            # The value alone decides an exact measure: a width would be ignored in silence.
            raise InvalidInput(
                f"{self.name} is exact, its bounds must equal its value {self.value}, got {self.lower} .. {self.upper}"
            )
        if self.n < 1:
            raise InvalidInput(f"{self.name} must rest on at least one row, got n={self.n}")
        if not 0.5 < self.level < 1:
            raise InvalidInput(f"level is the confidence of a one-sided bound, in (0.5, 1), got {self.level!r}")
        if not 0.0 <= self.resolution < math.inf:
            raise InvalidInput(f"resolution is a finite number of at least 0, got {self.resolution!r}")

    @property
    def exact(self) -> bool:
        """Whether the value has no sampling error: it alone decides."""
        return self.method == "exact"

    def fault(self, comparison: Operator, status: Status) -> str | None:
        """Why a verdict cannot be believed: the first failed self-check that could have faked it.

        Args:
            comparison: The operator.
            status: The verdict before self-checks.

        Returns:
            The check's name and reason, or None.
        """
        wants_high = comparison in (">", ">=")
        for check in self.validity:
            if check.passed or check.bias == "none":
                continue
            helps_pass = check.bias == ("raises" if wants_high else "lowers")
            faked = (status == "PASS" and helps_pass) or (status == "FAIL" and not helps_pass)
            if check.bias == "either" or comparison in ("==", "!=") or faked:
                return f"{check.name}: {check.reason}"
        return None

    def needed_n(self, limit: float) -> int | None:
        """Smallest n at which, with the observed rates unchanged, the limit leaves the interval.

        Args:
            limit: The limit.

        Returns:
            Rows, or None when no n settles it (value and limit are equal, or no further apart than `resolution`) or the
            bounds cannot be resized.
        """
        if self.sizing is None or math.isnan(self.value) or abs(self.value - limit) <= self.resolution:
            return None
        from robust.intervals.interval import needed_n  # scipy is loaded only when something was measured

        if self.value < limit:
            return needed_n(self.sizing, limit=limit - self.resolution, settles="below", n=self.n)
        return needed_n(self.sizing, limit=limit + self.resolution, settles="above", n=self.n)

    # --- comparisons with a number are verdicts -------------------------------------------------------------

    def _judge(self, comparison: Operator, other: object) -> Verdict:
        if isinstance(other, Measurement):
            raise TypeError(
                "two measurements are not compared by their values: use "
                "degradation(reference, candidate, data) or gain(model, train, test), which pair the rows"
            )
        return judge(self, comparison, other)

    def __lt__(self, limit: object) -> Verdict:
        return self._judge("<", limit)

    def __le__(self, limit: object) -> Verdict:
        return self._judge("<=", limit)

    def __gt__(self, limit: object) -> Verdict:
        return self._judge(">", limit)

    def __ge__(self, limit: object) -> Verdict:
        return self._judge(">=", limit)

    def _equality(self, comparison: Operator, other: object) -> Verdict:
        if isinstance(other, Measurement):
            return self._judge(comparison, other)
        if hasattr(other, "dtype") or is_number(other):
            if self.exact:
                return self._judge(comparison, other)
            raise TypeError(
                f"{self.name} is an estimate: {comparison} with a number is never settled; "
                "compare with <, <=, > or >=, or use .value"
            )
        return NotImplemented  # type: ignore[no-any-return]

    def __eq__(self, other: object) -> Verdict:  # type: ignore[override]
        return self._equality("==", other)

    def __ne__(self, other: object) -> Verdict:  # type: ignore[override]
        return self._equality("!=", other)

    def __bool__(self) -> NoReturn:
        raise TypeError(f"{self.name} has no truth value: compare it with a limit, e.g. {self.name} < percent(1)")

    # --- affine arithmetic stays a measurement, anything else names .value ---------------------------------

    def _affine(self, scale: float, shift: float, *, divisor: float = 1.0) -> Self:
        if scale == 0:
            raise TypeError("a measurement times 0 has no width and decides nothing: use .value")
        # Divided, not multiplied by a reciprocal: an exact 49 / 49 must be 1.
        numbers = (self.value, self.lower, self.upper, *reach_of(self))
        value, lower, upper, *reach = (scale * number / divisor + shift for number in numbers)
        scale /= divisor
        keep = scale > 0
        return replace(
            self,
            value=value,
            lower=min(lower, upper),
            upper=max(lower, upper),
            reach=(min(reach), max(reach)),
            higher_is_better=self.higher_is_better
            if keep or self.higher_is_better is None
            else not self.higher_is_better,
            row_values=None if self.row_values is None else scale * self.row_values + shift,
            sizing=None if self.sizing is None else Affine(sizing=self.sizing, scale=scale, shift=shift),
            resolution=abs(scale) * self.resolution,
            validity=tuple(
                check if keep else structs.replace(check, bias=OPPOSITE[check.bias]) for check in self.validity
            ),
        )

    def _number(self, other: object, operation: str) -> float:
        if isinstance(other, Measurement) or not is_number(other):
            raise TypeError(
                f"{operation} of a measurement takes a number, got {type(other).__name__}: use .value for a plain float"
            )
        return as_limit(other)

    def __add__(self, other: object) -> Self:
        return self._affine(1.0, self._number(other, "addition"))

    __radd__ = __add__

    def __sub__(self, other: object) -> Self:
        return self._affine(1.0, -self._number(other, "subtraction"))

    def __rsub__(self, other: object) -> Self:
        return self._affine(-1.0, self._number(other, "subtraction"))

    def __mul__(self, other: object) -> Self:
        return self._affine(self._number(other, "multiplication"), 0.0)

    __rmul__ = __mul__

    def __truediv__(self, other: object) -> Self:
        divisor = self._number(other, "division")
        if divisor == 0:
            raise ZeroDivisionError("a measurement divided by 0")
        return self._affine(1.0, 0.0, divisor=divisor)

    def __neg__(self) -> Self:
        return self._affine(-1.0, 0.0)

    def __pos__(self) -> Self:
        return self

    def _refuse(self, operation: str) -> NoReturn:
        raise TypeError(f"{operation} of {self.name} would drop its bounds: use .value for a plain float")

    def __float__(self) -> float:
        return self.value if self.exact else self._refuse("float()")

    def __int__(self) -> int:
        return int(self.value) if self.exact else self._refuse("int()")

    def __abs__(self) -> NoReturn:
        self._refuse("abs()")

    def __round__(self, _ndigits: int | None = None) -> NoReturn:
        self._refuse("round()")

    def _nonlinear(self, _other: object) -> NoReturn:
        self._refuse("a power, a floor, a remainder or a division")

    __pow__ = __rpow__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = _nonlinear
    __divmod__ = __rdivmod__ = __rtruediv__ = _nonlinear

    def __format__(self, spec: str) -> str:
        """Format the value; without a spec, the short text."""
        return format(self.value, spec) if spec else str(self)

    def __repr__(self) -> str:
        # One line: evidence and provenance are for reports, and would fill a screen.
        return f"<Measurement {self}>"

    def __str__(self) -> str:
        if self.exact:
            return f"{self.name} {self.value:.6g} ({self.unit}, exact)"
        two_sided = 100 * (2 * self.level - 1)
        largest = max((abs(part) for part in (self.value, self.lower, self.upper) if math.isfinite(part)), default=0.0)
        spec = ".3g" if 0.0 < largest < 1e-3 else ".4f"  # seven microseconds are not 0.0000
        return (
            f"{self.name} {self.value:{spec}} ({self.lower:{spec}} .. {self.upper:{spec}}, "
            f"{two_sided:.3g}% two-sided, n={self.n}, {self.method})"
        )

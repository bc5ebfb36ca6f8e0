"""Numbers that a torch module reads of its data, followed through Python's arithmetic up to where one decides.

A number with a fraction that goes back into tensors is a factor. One that is compared may decide what runs: the answer
is noted, and may be forced to be the other in another run. Whatever loses sight of a number (`float`, `int`, text, an
array, a place in a list) may decide anything, and is noted as such.
"""

import builtins
import math
import operator
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


class Refusal(ZeroDivisionError, OverflowError, ValueError):
    """What arithmetic raises that is told to fail; whoever catches one of its kinds catches it."""


class Answers:
    """Answers to the comparisons of one run.

    Args:
        forced: The first answers; those after them are true ones.
        refusing: Which piece of arithmetic that some number would make impossible, such as a division by 0, fails.

    Attributes:
        taken: Answers that were given, in order.
        lost: Whether a number went where it cannot be followed.
        risks: How many answers there were at each piece of such arithmetic.
        refusal: What was raised at the one that failed.
        made: Numbers that were handed out or computed.
        tried: Operators and functions of torch that were called so far.
        asked: How many had been when the last answer was given.
    """

    def __init__(self, forced: Sequence[bool] = (), *, refusing: int | None = None) -> None:
        self.taken: list[bool] = []
        self.risks: list[int] = []
        self.made: list[weakref.ref[Number]] = []
        self.refusal: Refusal | None = None
        self.lost = False
        self.tried = self.asked = 0
        self.forced, self.refusing = tuple(forced), refusing

    def answer(self, truth: bool) -> bool:
        """The answer to one comparison."""
        place, self.asked = len(self.taken), self.tried
        self.taken.append(self.forced[place] if place < len(self.forced) else bool(truth))
        return self.taken[-1]

    def kept(self) -> bool:
        """Whether somebody still holds a number of the run."""
        return any(reference() is not None for reference in self.made)

    def risk(self) -> None:
        """Arithmetic that fails on some numbers; raises Refusal where this run is to show what follows."""
        self.risks.append(len(self.taken))
        if self.refusing == len(self.risks) - 1:
            self.asked = self.tried
            self.refusal = Refusal("the operation does not take this number")
            raise self.refusal


class Number(torch.SymFloat):  # type: ignore[misc]
    """A number that depends on the data.

    No float by birth: functions in C take the value of one unseen, and have to ask this one for it. Torch takes its own
    symbolic numbers wherever it takes a float, and hands them to the mode that watches the run before it looks inside.

    Args:
        value: The number.
        answers: Of the run.
    """

    def __init__(self, value: float, answers: Answers) -> None:
        self.value, self.answers = float(value), answers
        answers.made.append(weakref.ref(self))

    @property
    def __class__(self) -> type:  # for code that asks whether this is a float
        return float

    @__class__.setter
    def __class__(self, _kind: type) -> None:
        raise TypeError("a number keeps its class")

    def __getattr__(self, name: str) -> Any:
        self.answers.lost = self.answers.lost or not name.startswith("__")  # protocols are asked for, and not there
        raise AttributeError(f"a number that is followed has no {name!r}")

    def __copy__(self) -> "Number":
        return self

    def __deepcopy__(self, _memo: object) -> "Number":
        return self

    def __reduce_ex__(self, _protocol: Any) -> Any:
        self.answers.lost = True
        return float, (self.value,)

    def __round__(self, digits: int | None = None) -> Any:
        if digits is None:
            self.answers.lost = True
            return round(self.value)
        return Number(round(self.value, digits), self.answers)

    def __array_ufunc__(self, ufunc: Any, method: str, *given: Any, **named: Any) -> Any:
        """Functions of numpy: those without a limit among their numbers are followed, others lose it."""
        plain = tuple(plain_number(value) for value in given)
        result = getattr(ufunc, method)(*plain, **named)
        if (
            ufunc in _UFUNCS
            and method == "__call__"
            and not named
            and np.ndim(result) == 0
            and "raise" not in np.geterr().values()
        ):
            return Number(float(result), self.answers)
        self.answers.lost = True
        return result


def plain_number(value: Any) -> Any:
    """What a number is, if it is one that is followed."""
    return value.value if type(value) is Number else value


_UFUNCS = frozenset(
    {np.add, np.subtract, np.multiply, np.divide, np.negative, np.absolute, np.square, np.sqrt, np.exp, np.expm1}
    | {np.log, np.log1p, np.log2, np.log10, np.tanh, np.maximum, np.minimum}
)


def _known(values: Sequence[Any]) -> bool:
    return all(type(value) is Number or isinstance(value, int | float) for value in values)


def _computed(answers: Answers, function: Callable[..., Any], *values: Any) -> Number:
    """A number made of others; where it fails, somebody may go on who would not have with another number."""
    try:
        return Number(function(*values), answers)
    except (ArithmeticError, ValueError, TypeError):
        answers.lost = True
        raise


def _arithmetic(name: str, *, fallible: bool = False) -> Callable[..., Any]:
    function = getattr(operator, name)

    def method(self: Number, other: Any) -> Any:
        if not _known((other,)):
            return NotImplemented
        if fallible and (type(other) is Number or not other or name == "pow"):
            self.answers.risk()
        return _computed(self.answers, function, self.value, plain_number(other))

    def reflected(self: Number, other: Any) -> Any:
        if not _known((other,)):
            return NotImplemented
        if fallible:
            self.answers.risk()
        return _computed(self.answers, function, plain_number(other), self.value)

    setattr(Number, f"__r{name}__", reflected)
    return method


def _comparison(name: str) -> Callable[..., Any]:
    function = getattr(operator, name)

    def method(self: Number, other: Any) -> Any:
        if not _known((other,)):
            if isinstance(other, torch.Tensor):
                return NotImplemented
            self.answers.lost = True
            return function(self.value, other)
        return self.answers.answer(function(self.value, plain_number(other)))

    return method


def _signed(name: str) -> Callable[..., Any]:
    function = getattr(operator, name)
    return lambda self: Number(function(self.value), self.answers)


def _losing(name: str) -> Callable[..., Any]:
    function = getattr(float, name)

    def method(self: Number, *given: Any) -> Any:
        self.answers.lost = True
        return function(self.value, *given)

    return method


for _name in ("add", "sub", "mul"):
    setattr(Number, f"__{_name}__", _arithmetic(_name))
for _name in ("truediv", "floordiv", "mod", "pow"):
    setattr(Number, f"__{_name}__", _arithmetic(_name, fallible=True))
for _name in ("lt", "le", "gt", "ge", "eq", "ne"):
    setattr(Number, f"__{_name}__", _comparison(_name))
for _name in ("float", "int", "trunc", "floor", "ceil", "hash", "str", "repr", "format", "divmod", "rdivmod"):
    setattr(Number, f"__{_name}__", _losing(f"__{_name}__"))
for _name in ("is_integer", "as_integer_ratio", "hex", "conjugate"):
    setattr(Number, _name, _losing(_name))
for _name in ("neg", "pos", "abs"):
    setattr(Number, f"__{_name}__", _signed(_name))
setattr(Number, "__bool__", lambda self: self.answers.answer(self.value != 0))  # noqa: B010


def _extreme(function: Callable[..., Any]) -> Callable[..., Any]:
    """`max` or `min`: of numbers, one of which is followed, they make one that is; which one decides nothing."""

    def extreme(*given: Any, **named: Any) -> Any:
        values = tuple(given[0]) if len(given) == 1 and not named else given
        found = [value for value in values if type(value) is Number]
        if named or not found or not _known(values):
            return function(values, **named) if len(given) == 1 and not named else function(*given, **named)
        return Number(function(map(plain_number, values)), found[0].answers)

    return extreme


def _followed(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of `math`, which may refuse a number."""

    def follow(*given: Any) -> Any:
        found = [value for value in given if type(value) is Number]
        if not found or not _known(given):
            return function(*given)
        found[0].answers.risk()
        return _computed(found[0].answers, function, *map(plain_number, given))

    return follow


def _asked(function: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """A question of `math` about a number."""
    return lambda value: value.answers.answer(function(value.value)) if type(value) is Number else function(value)


_FOLLOWED = (
    (builtins, ("max", "min"), _extreme),
    (math, ("sqrt", "exp", "expm1", "log", "log1p", "log2", "log10", "tanh", "fabs", "pow"), _followed),
    (math, ("isnan", "isinf", "isfinite"), _asked),
)


@contextmanager
def followed_arithmetic() -> Iterator[None]:
    """Let functions of Python that take numbers follow them while the block lasts; all else they do as before.

    Code that holds the functions themselves (`from math import sqrt`) has others, and loses the number.
    """
    kept = [(home, name, getattr(home, name)) for home, names, _ in _FOLLOWED for name in names]
    try:
        for home, names, instead in _FOLLOWED:
            for name in names:
                setattr(home, name, instead(getattr(home, name)))
        yield
    finally:
        for home, name, function in kept:
            setattr(home, name, function)

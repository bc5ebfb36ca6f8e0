"""What may stand on the other side of a comparison."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import torch

from robust.errors import InvalidInput
from robust.limits import KiB, MiB, as_bytes, as_limit, is_number, percent

NUMBERS = [
    0.5,
    Decimal("0.5"),
    Fraction(1, 2),
    np.float64(0.5),
    np.float32(0.5),
    np.float16(0.5),
    np.longdouble(0.5),
    np.array(0.5),
    np.array(0.5, dtype=">f8"),
    torch.tensor(0.5),
    torch.tensor(0.5, dtype=torch.bfloat16),
]

NO_NUMBERS = {
    "bool": True,
    "numpy bool": np.True_,
    "0-d bool array": np.array(True),
    "torch bool": torch.tensor(True),
    "str": "0.5",
    "numpy str": np.str_("0.5"),
    "0-d text array": np.array("0.5"),
    "0-d object array": np.array(0.5, dtype=object),
    "bytes": b"0.5",
    "complex": 0.5j,
    "numpy complex": np.complex128(0.5),
    "None": None,
    "list": [0.5],
    "array": np.array([0.5]),
    "empty array": np.array([]),
    "tensor of one": torch.tensor([0.5]),
    "Series": pd.Series([0.5]),
    "DataFrame": pd.DataFrame([[0.5]]),
    "pandas NA": pd.NA,
    "time span": np.timedelta64(1, "s"),
    "date": np.datetime64("2020-01-01"),
    "approx": pytest.approx(0.5),
}


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: f"{type(number).__name__}-{number!r}")
def test_every_real_scalar_is_a_limit(number: object) -> None:
    assert is_number(number)
    assert as_limit(number) == 0.5
    assert type(as_limit(number)) is float


@pytest.mark.parametrize("integer", [3, np.int8(3), np.uint64(3), torch.tensor(3), np.array(3)], ids=repr)
def test_every_integer_scalar_is_a_limit(integer: object) -> None:
    assert as_limit(integer) == 3.0


@pytest.mark.parametrize("value", NO_NUMBERS.values(), ids=NO_NUMBERS.keys())
def test_anything_else_is_refused_by_type(value: object) -> None:
    assert not is_number(value)
    with pytest.raises(TypeError, match=f"compared with a finite number, got {type(value).__name__}"):
        as_limit(value)


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        -float("inf"),
        np.float32("nan"),
        np.array(np.inf),
        torch.tensor(float("nan")),
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("Infinity"),
        10**400,
        Fraction(10**400),
    ],
    ids=lambda value: f"{type(value).__name__}-{str(value)[:8]}",
)
def test_numbers_that_are_not_finite_floats_are_refused(value: object) -> None:
    with pytest.raises(InvalidInput, match="compared with a finite number"):
        as_limit(value)


@pytest.mark.parametrize(
    ("share", "expected"), [(1, 0.01), (0, 0.0), (100, 1.0), (-3, -0.03), (7, 0.07), (Decimal("0.5"), 0.005)]
)
def test_percent_by_hand(share: float, expected: float) -> None:
    assert percent(share) == expected


def test_percent_is_the_nearest_float_to_the_decimal() -> None:
    # Multiplying by 0.01 would give 0.07000000000000001 and 0.29000000000000004.
    assert [percent(share) for share in range(101)] == [float(Fraction(share, 100)) for share in range(101)]


def test_percent_refuses_what_is_no_finite_number() -> None:
    with pytest.raises(TypeError, match="percent takes a finite number, got str: '1'"):
        percent("1")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="percent takes a finite number, got nan"):
        percent(float("nan"))


def test_units_of_memory_are_binary() -> None:
    assert (KiB, MiB) == (2**10, 2**20)
    assert as_limit(256 * KiB) == 262144.0


@pytest.mark.parametrize(
    ("text", "size"),
    [("256KiB", 262144), ("1.5 MiB", 1572864), ("2GiB", 2**31), ("64kB", 64000), ("1MB", 10**6), ("3 GB", 3 * 10**9),
     ("12B", 12), (" 4096 ", 4096), (4096, 4096), (np.int64(5), 5)],
)  # fmt: skip
def test_sizes_of_memory_by_hand(text: object, size: float) -> None:
    assert as_bytes(text) == size


@pytest.mark.parametrize(
    "text", ["", "KiB", "256 kib", "1e3KiB", "-1KiB", "0", "nan", "1,5MiB", "٣KiB", None, True, -4, []]
)
def test_what_is_no_size_of_memory_is_refused(text: object) -> None:
    with pytest.raises(InvalidInput, match="is no size of memory: a size above 0 such as 256KiB"):
        as_bytes(text)


def test_a_size_that_is_not_finite_is_refused() -> None:
    with pytest.raises(InvalidInput, match="finite number"):
        as_bytes(float("inf"))
    with pytest.raises(InvalidInput, match="finite number"):
        as_bytes("9" * 400)

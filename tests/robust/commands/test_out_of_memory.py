"""A lack of memory is told in one sentence, and nothing else is taken for one."""

import errno

import numpy as np
import pytest

from robust.commands.out_of_memory import memory_words


def raised(function):
    try:
        function()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def caused():
    try:
        raise MemoryError
    except MemoryError as error:
        raise ValueError("a file cannot be read") from error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "not enough memory: fewer rows"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "Cannot allocate memory"),
        (RuntimeError("std::bad_alloc"), r"not enough memory \(std::bad_alloc\): fewer rows"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "DefaultCPUAllocator"),
        (raised(lambda: np.empty(2**58)), r"not enough memory \(Unable to allocate 2.00 EiB"),
        (raised(caused), "not enough memory: fewer rows"),
    ],
)
def test_a_lack_of_memory_is_one_sentence(error, words):
    told = memory_words(error)
    assert "\n" not in told
    with pytest.raises(RuntimeError, match=words):
        raise RuntimeError(told)


@pytest.mark.parametrize(
    "error", [ValueError("bad_alloc"), OSError(errno.ENOSPC, "No space left"), RuntimeError("no kernel"), KeyError("x")]
)
def test_other_errors_are_none(error):
    assert memory_words(error) is None

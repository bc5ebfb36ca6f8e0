"""A lack of memory is told in one sentence, and nothing else is taken for one."""

import errno

import numpy as np
import pytest

from robust.cli import _run
from robust.commands.out_of_memory import memory_words, notices_told
from robust.predicting.notices import notice


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


def test_of_another_library_without_a_type_for_it():
    class RuntimeException(Exception):
        pass

    RuntimeException.__module__ = "onnxruntime.capi.onnxruntime_pybind11_state"
    assert "Failed to allocate memory" in memory_words(
        RuntimeException("Failed to allocate memory for requested buffer")
    )
    assert memory_words(RuntimeException("Got invalid dimensions")) is None


def test_notices_are_told_on_stderr_once_a_topic(capsys):
    with notices_told():
        for text in ("m ran out of memory: 64", "m ran out of memory: 32"):
            notice("memory of m", text)
        notice("interrupted", "kept in .robust/cache")
    notice("memory of m", "nobody listens any more")
    told = capsys.readouterr()
    assert told.err == "robust: m ran out of memory: 64\nrobust: kept in .robust/cache\n"
    assert told.out == ""


def test_every_command_tells_them(capsys):
    def command(_pressed):
        notice("interrupted", "kept in .robust/cache: finished rows, 256 of PGD; asked again, it goes on from there")
        raise KeyboardInterrupt

    with pytest.raises(SystemExit):
        _run(command)
    assert capsys.readouterr().err.splitlines() == [
        "robust: kept in .robust/cache: finished rows, 256 of PGD; asked again, it goes on from there",
        "robust: interrupted",
    ]

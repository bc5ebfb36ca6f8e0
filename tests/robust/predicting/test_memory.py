"""A call that finds no memory is made again in halves; whoever waits is told once, and one row too many is named."""

import errno

import numpy as np
import pytest
import torch

from robust.attacks.accuracy_under_attack import robust_accuracy
from robust.attacks.pgd import PGD
from robust.commands.out_of_memory import notices_told
from robust.data.live import as_data
from robust.errors import ModelFault
from robust.evidence import Finding
from robust.measures.classification import accuracy
from robust.models.base import Model
from robust.models.conversion import as_model
from robust.predicting.calling import bind
from robust.predicting.memory import OutOfMemory, Room, fitted, lacks_memory
from robust.predicting.metering import metered
from robust.predicting.notices import heard
from robust.predicting.settings import Settings, using

ROWS = np.random.default_rng(0).normal(size=(100, 3))
TURNED = as_data(ROWS).schema


class RuntimeException(Exception):
    """As onnxruntime's, which is no `RuntimeError`."""


RuntimeException.__module__ = "onnxruntime.capi.onnxruntime_pybind11_state"
LACKS = [
    MemoryError("no more"),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: not enough memory: you tried to allocate"),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeException("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : bad allocation"),
    RuntimeException("bfc_arena.cc: Failed to allocate memory for requested buffer of size 1024"),
    RuntimeError("std::bad_alloc"),
]
OTHERS = [
    RuntimeError("no kernel"),
    ValueError("out of memory"),
    RuntimeException("[ONNXRuntimeError] : 2 : INVALID_ARGUMENT"),
    OSError(errno.ENOSPC, "No space left on device"),
    KeyError("memory"),
]


class Small:
    """The sum of each row, for so many rows at most; remembers how many it was given."""

    def __init__(self, most, error=None):
        self.most, self.sizes, self.error = most, [], error or MemoryError()

    def __call__(self, x):
        self.sizes.append(len(x))
        if len(x) > self.most:
            raise self.error
        return x.sum(axis=1)

    def gradients(self, x, cotangent):
        values = self(x)[:, None]
        return values, np.ones_like(x) * cotangent(values)


@pytest.mark.parametrize("error", LACKS, ids=str)
def test_a_lack_of_memory_is_known_whoever_raises_it(error):
    assert lacks_memory(error)
    small = Small(20, error)
    found = bind(as_model(small, name="m", batch_size=64), TURNED).outputs(ROWS)
    np.testing.assert_allclose(found[:, 0], ROWS.sum(axis=1))
    assert small.sizes == [64, 32, 16, 16, 16, 16, 16, 16, 4]


@pytest.mark.parametrize("error", OTHERS, ids=repr)
def test_other_errors_are_none(error):
    assert not lacks_memory(error)


def test_pieces_cover_a_block_whatever_fits():
    for most in range(1, 12):

        def call(part, most=most):
            if part.stop - part.start > most:
                raise OutOfMemory
            return list(range(part.start, part.stop))

        room = Room()
        assert [row for piece in fitted(slice(3, 14), room, call) for row in piece] == list(range(3, 14))
        assert room.rows is None or 1 <= room.rows <= most
    with pytest.raises(OutOfMemory):
        fitted(slice(0, 4), Room(), lambda part: (_ for _ in ()).throw(OutOfMemory()))


def test_later_calls_of_a_measurement_stay_small_and_it_is_said_once(capsys):
    small = Small(20)
    data = as_data(ROWS, (ROWS.sum(axis=1) > 0).astype(int))
    model = as_model(lambda x: (small(x) > 0).astype(int), name="m", batch_size=64)
    with notices_told():
        m = accuracy(model, data)
    assert m.value == 1.0
    assert [size for size in small.sizes if size > 20] == [64, 32]
    told = [one.text for one in m.evidence if isinstance(one, Finding) and "memory" in one.text]
    assert told == ["m ran out of memory: it is asked about 16 rows a call at most from then on"]
    assert capsys.readouterr().err == f"robust: {told[0]}\n"


def test_a_notice_is_heard_once_a_topic():
    said = []
    with heard(said.append):
        for most in (20, 5):
            bind(as_model(Small(most), name="m", batch_size=64), TURNED).outputs(ROWS)
        bind(as_model(Small(5), name="other"), TURNED).outputs(ROWS)
    assert said == [
        "m ran out of memory: it is asked about 16 rows a call at most from then on",
        "other ran out of memory: it is asked about 3 rows a call at most from then on",
    ]


def test_the_last_remark_is_the_one_that_holds():
    # 100 rows fit 25 a call; later ones only 3.
    small = Small(25)
    with metered() as meter:
        caller = bind(as_model(small, name="m", batch_size=100), TURNED)
        caller.outputs(ROWS)
        small.most = 3
        caller.outputs(ROWS)
    assert [found.text for found in meter.findings()] == [
        "m ran out of memory: it is asked about 3 rows a call at most from then on"
    ]
    assert (meter.forward_rows, meter.backward_rows) == (200, 0)


def test_gradients_go_on_in_halves_and_know_their_rows():
    small = Small(20)
    caller = bind(as_model(small, gradients=small.gradients, name="m", batch_size=64), TURNED)
    weights = np.arange(100.0)[:, None]
    values, slope = caller.gradient(ROWS, lambda outputs, block: weights[block] * np.ones_like(outputs))
    np.testing.assert_allclose(values[:, 0], ROWS.sum(axis=1))
    np.testing.assert_allclose(slope, weights * np.ones((1, 3)))
    assert max(small.sizes[2:]) == 16


def test_threads_share_what_is_known():
    small = Small(20)
    model = Model(name="m", framework="sklearn", forward=small, batch_size=32)
    with using(Settings(shards=3)), metered() as meter:
        found = bind(model, TURNED).outputs(ROWS)
    np.testing.assert_allclose(found[:, 0], ROWS.sum(axis=1))
    assert len(meter.findings()) == 1


def test_one_row_too_many_is_named():
    class Heavy(Small):
        def __call__(self, x):
            if (x == ROWS[41]).all(axis=1).any():
                raise MemoryError
            return x.sum(axis=1)

        def gradients(self, x, cotangent):
            values = self(x)[:, None]
            return values, x * cotangent(values)

    heavy = Heavy(0)
    caller = bind(as_model(heavy, gradients=heavy.gradients, name="m"), TURNED)
    words = r"^m ran out of memory on the row at position 41 alone: .* would be right"
    with pytest.raises(ModelFault, match=words) as caught:
        caller.outputs(ROWS)
    assert isinstance(caught.value.__cause__, MemoryError)
    with pytest.raises(ModelFault, match=words):
        caller.gradient(ROWS, lambda outputs, _: np.ones_like(outputs))


def test_a_fixed_batch_cannot_be_halved():
    model = Model(name="m", framework="onnx", forward=Small(8), fixed_batch=16)
    with pytest.raises(ModelFault, match=r"m ran out of memory on a call of 16 rows, .* export it with a smaller"):
        bind(model, TURNED).outputs(ROWS)


def test_an_attack_goes_on_with_smaller_calls_to_the_same_figure():
    weights = np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])

    def made(most):
        def forward(x):
            if len(x) > most:
                raise MemoryError
            return x @ weights.T

        def gradients(x, cotangent):
            values = forward(x)
            return values, cotangent(values) @ weights

        return as_model(forward, gradients=gradients, name="linear", output="logits", batch_size=64)

    data = as_data(ROWS, (ROWS.sum(axis=1) > 0).astype(int))
    free, tight = (robust_accuracy(made(most), data, attack=PGD(eps=0.1, steps=3)) for most in (1000, 10))
    assert tight.value == free.value == np.mean(np.abs(ROWS.sum(axis=1)) > 0.3)
    np.testing.assert_array_equal(tight.row_values, free.row_values)
    assert any("ran out of memory" in one.text for one in tight.evidence if isinstance(one, Finding))

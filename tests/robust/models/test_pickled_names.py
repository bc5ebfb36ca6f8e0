import io
import pickle
from collections import OrderedDict

import pytest
import torch
from torch import nn
from torch._weights_only_unpickler import _get_allowed_globals

from robust.models.pickled_names import beyond_tensors


def saved(held, *, zipped=True):
    buffer = io.BytesIO()
    torch.save(held, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


DTYPES = [torch.float64, torch.float16, torch.bfloat16, torch.int8, torch.bool, torch.complex64]


@pytest.mark.parametrize("zipped", [True, False])
def test_tensors_and_plain_values_have_no_names(zipped):
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    tensors = {str(dtype): torch.zeros(3, dtype=dtype) for dtype in DTYPES}
    more = {
        "epoch": 3,
        "lr": [0.1, None],
        "size": torch.Size([1]),
        "where": torch.device("cpu"),
        "dtype": torch.float32,
        "marks": {1},
    }
    for held in (net.state_dict(), {**tensors, **more}, OrderedDict(w=nn.Parameter(torch.ones(2)))):
        assert beyond_tensors(saved(held, zipped=zipped)) == []


def test_what_torch_reads_without_trust_is_not_called_code():
    names = list(_get_allowed_globals())
    assert len(names) > 80
    for name in names:
        assert beyond_tensors("c{}\n{}\n.".format(*name.rsplit(".", 1)).encode()) == []


@pytest.mark.parametrize(
    "name", ["torch.load", "torch.nn.Linear", "torch.jit.load", "builtins.eval", "builtins.getattr"]
)
def test_what_could_run_code_is_named(name):
    assert beyond_tensors("c{}\n{}\n.".format(*name.rsplit(".", 1)).encode()) == [name]


@pytest.mark.parametrize("zipped", [True, False])
def test_a_modules_classes_are_named(zipped):
    names = beyond_tensors(saved(nn.Sequential(nn.Linear(2, 2)), zipped=zipped))
    assert names == ["torch.nn.modules.container.Sequential", "torch.nn.modules.linear.Linear"]


@pytest.mark.parametrize("protocol", range(6))
def test_names_are_those_that_the_unpickler_asks_for(protocol):
    class Asking(pickle.Unpickler):
        def find_class(self, module, name):
            asked.append(f"{module}.{name}")
            return super().find_class(module, name)

    # The same module twice: the second time, its name comes from the memo.
    content, asked = pickle.dumps([OrderedDict(a=1), io.BytesIO, io.StringIO, len, "text"], protocol=protocol), []
    Asking(io.BytesIO(content)).load()
    assert beyond_tensors(content) == [name for name in asked if name != "collections.OrderedDict"]
    assert len(asked) == 4


def test_what_ran_before_the_damage_is_named_and_a_terminal_is_not_addressed():
    assert beyond_tensors(b"cos\nsystem\n(Vtrue\ntR\xff\xff") == ["os.system"]
    assert beyond_tensors(b"cos\n\x1b[2Jsystem\n") == ["os.\\x1b[2Jsystem"]
    assert len(beyond_tensors(b"cos\n" + b"x" * 500 + b"\n")[0]) == 80


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"\x00" * 64, b"\x93\x93..", b"text\n", b"."])
def test_what_is_no_pickle_has_no_names(content):
    assert beyond_tensors(content) == []

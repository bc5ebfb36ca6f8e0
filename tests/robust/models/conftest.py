"""Model files of every kind, and a pickle that leaves a trace when it is loaded."""

import io
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest


class Touch:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return (Path.touch, (Path(self.canary),))


@pytest.fixture
def canary(tmp_path):
    """A file that must not appear; checked after the test too, whatever the test itself looks at."""
    path = tmp_path / "canary"
    yield path
    assert not path.exists(), "code from a file ran"


@pytest.fixture
def hostile(canary):
    return pickle.dumps(Touch(canary))


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """A convolutional net, exported with a free batch."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(144, 3)
    ).eval()
    program = torch.export.export(net, (torch.zeros(4, 1, 8, 8),), dynamic_shapes=({0: torch.export.Dim("batch")},))
    path = tmp_path_factory.mktemp("exported") / "net.pt2"
    torch.export.save(program, path)
    return path, net


@pytest.fixture
def rewrite(tmp_path):
    """Writes an archive again with members edited, removed (None) or added; names are without the folder."""

    def write(source, name, changes):
        with zipfile.ZipFile(source) as archive:
            parts = {member: archive.read(member) for member in archive.namelist()}
        top = next(iter(parts)).partition("/")[0]
        for member, change in changes.items():
            place = f"{top}/{member}"
            if change is None:
                del parts[place]
            else:
                parts[place] = change(parts[place]) if callable(change) else change
        path = tmp_path / name
        with zipfile.ZipFile(path, "w") as archive:
            for member, part in parts.items():
                archive.writestr(member, part)
        return path

    return write


@pytest.fixture
def edit_graph(rewrite, exported):
    """Writes the exported net again with its graph edited by a function of the parsed JSON."""

    def write(edit):
        def change(text):
            graph = json.loads(text)
            return json.dumps(edit(graph) or graph).encode()

        return rewrite(exported[0], "edited.pt2", {"models/model.json": change})

    return write


@pytest.fixture(scope="session")
def rows():
    return np.random.default_rng(0).random((20, 1, 8, 8))


@pytest.fixture
def zipped(tmp_path):
    def write(name, members, compression=zipfile.ZIP_STORED):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", compression) as archive:
            for member, part in members:
                archive.writestr(member, part)
        path = tmp_path / name
        path.write_bytes(buffer.getvalue())
        return path

    return write

import tomllib
import zipfile

import numpy as np
import pandas as pd
import pytest

from robust.errors import InvalidInput
from robust.examples.catalogue import EXAMPLES, example_path

FILES = {
    "digits": {"robust.toml", "train.npz", "validation.npz", "test.npz", "float.onnx", "int8.onnx", "net.safetensors"},
    "diabetes": {"robust.toml", "train.csv", "test.csv", "model.skops"},
    "sunspots": {"robust.toml", "train.csv", "test.csv", "model.skops"},
}
TABLES = {
    "diabetes": ["age", "sex", "bmi", "bp"],
    "sunspots": ["lag1", "lag2", "lag3"],
}


def config(name):
    return tomllib.loads((example_path(name) / "robust.toml").read_text(encoding="utf-8"))


def test_the_three_examples_are_listed():
    assert EXAMPLES == ("digits", "diabetes", "sunspots")


@pytest.mark.parametrize("name", EXAMPLES)
def test_folder_holds_the_shipped_files_and_nothing_else(name):
    assert {path.name for path in example_path(name).iterdir()} == FILES[name]


@pytest.mark.parametrize("name", ["mnist", "", "../examples/digits", "Digits"])
def test_unknown_example_is_refused_with_the_known_names(name):
    with pytest.raises(InvalidInput, match=r"no example .*the examples are digits, diabetes, sunspots"):
        example_path(name)


def test_all_files_together_stay_small():
    sizes = [path.stat().st_size for name in EXAMPLES for path in example_path(name).iterdir()]
    assert 100_000 < sum(sizes) < 600_000


@pytest.mark.parametrize("name", EXAMPLES)
def test_config_names_files_beside_it(name):
    given = config(name)
    named = [given["models"]["candidate"], given["data"]["test"], given["data"]["train"]]
    named += [given["models"][key] for key in ("reference", "surrogate") if key in given["models"]]
    named += [given["data"][key] for key in ("validation",) if key in given["data"]]
    assert set(named) | {"robust.toml"} == FILES[name]


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("part", ["train", "test"])
def test_columns_that_are_left_over_are_the_features(name, part):
    data = config(name)["data"]
    table = pd.read_csv(example_path(name) / data[part])
    elsewhere = {data["target"], data.get("order"), *data["unused"]} - {None}
    assert elsewhere < set(table.columns)
    assert [column for column in table.columns if column not in elsewhere] == TABLES[name]


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("part", ["train", "test"])
def test_data_obeys_the_declared_schema(name, part):
    data = config(name)["data"]
    table = pd.read_csv(example_path(name) / data[part])
    assert list(data["schema"]) == TABLES[name]
    for feature, declared in data["schema"].items():
        values = table[feature].to_numpy(float)
        lower, upper = declared["bounds"]
        assert lower <= values.min() < values.max() <= upper
        assert declared.get("kind") != "integer" or np.array_equal(values, np.rint(values))


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_complete_numbers(name):
    for part in ("train", "test"):
        values = pd.read_csv(example_path(name) / f"{part}.csv").to_numpy(float)
        assert np.isfinite(values).all()


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_file_holds_a_path_of_the_machine_that_made_it(name):
    for path in example_path(name).iterdir():
        contents = [path.read_bytes()]
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                contents += [archive.read(member) for member in archive.namelist()]
        for content in contents:
            assert not any(
                word in content for word in (b"site-packages", b"/home/", b"/root/", b"/tmp/", b"stack_trace")
            )

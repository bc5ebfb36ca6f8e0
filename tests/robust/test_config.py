"""Configs: every level of keys, wrong values, files that are none, paths; and the plan that is made of one."""

import numpy as np
import pandas as pd
import pytest
import skops.io
from msgspec import structs
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.svm import OneClassSVM

from robust.anomalies.checks import AnomalyOptions
from robust.auditing.discovery import discover, find_check
from robust.config import Config, DataTable, ModelsTable, find_config, load_config, overlaid, read_config
from robust.errors import InvalidInput, ModelFault
from robust.examples.catalogue import EXAMPLES, example_path
from robust.planning import build_plan


def config(tmp_path, text, name="robust.toml"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


FULL = """
title = "Release 3"
level = 0.9
seed = 7
decide = "value"
require_gates = true
[models]
candidate = "int8.onnx"
reference = "sub/float.onnx"
surrogate = "/elsewhere/net.safetensors"
surrogate_factory = "package.module:make"
task = "classification"
output = "logits"
classes = ["cat", 3]
batch_size = 32
[data]
test = "test.parquet"
train = "../train.parquet"
validation = "validation.parquet"
normal = "sub/normal.parquet"
anomalous = ["fault", 3]
target = "label"
unused = ["site"]
slices = ["site"]
order = "time"
groups = "patient"
ids = "row"
bounds = [0, 1]
relations = ["a <= b"]
[data.schema]
age = { kind = "integer", bounds = [0, 120] }
[gates]
accuracy = ">= 95%"
[gates.robust_accuracy]
limit = "> 60%"
eps = 0.03
"""


def test_everything_that_a_config_may_say(tmp_path):
    found = load_config(config(tmp_path, FULL))
    assert (found.title, found.level, found.seed, found.decide, found.require_gates) == (
        "Release 3",
        0.9,
        7,
        "value",
        True,
    )
    assert found.models.candidate == str(tmp_path / "int8.onnx")  # relative to the config, not to where one stands
    assert found.models.reference == str(tmp_path / "sub" / "float.onnx")
    assert found.models.surrogate == "/elsewhere/net.safetensors"
    assert found.data.train == str(tmp_path / ".." / "train.parquet")
    assert found.data.validation == str(tmp_path / "validation.parquet")
    assert found.data.normal == str(tmp_path / "sub" / "normal.parquet")
    assert found.data.anomalous == ["fault", 3]
    assert (found.models.classes, found.models.batch_size) == (["cat", 3], 32)
    assert found.data.bounds == (0.0, 1.0)
    assert found.data.schema == {"age": {"kind": "integer", "bounds": [0, 120]}}
    assert found.gates == {"accuracy": ">= 95%", "robust_accuracy": {"limit": "> 60%", "eps": 0.03}}
    # Nothing that a table can hold has been left out here.
    said = {
        "models": set(ModelsTable.__struct_fields__) - {"factory", "reference_factory"},
        "data": set(DataTable.__struct_fields__),
    }
    for part, names in said.items():
        for name in names:
            assert getattr(getattr(found, part), name) != getattr(getattr(Config(), part), name), name


def test_defaults(tmp_path):
    found = load_config(config(tmp_path, "[models]\ncandidate = 'm.onnx'\n"))
    assert (found.level, found.seed, found.decide, found.require_gates, found.gates) == (0.95, 0, "bound", False, {})
    assert found.data.test == ""
    assert found.models.reference is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sede = 3", r"unknown key 'sede' in the top level, did you mean 'seed'\? Known keys: models, data"),
        ("[model]\ncandidate = 'm'", r"unknown key 'model' in the top level, did you mean 'models'\?"),
        ("[models]\ncandiate = 'm'", r"unknown key 'candiate' in \[models\], did you mean 'candidate'\?"),
        ("[data]\ntest_set = 'd'", r"unknown key 'test_set' in \[data\], did you mean 'test'\?"),
        ("[data]\nzzz = 'd'", r"unknown key 'zzz' in \[data\]\. Known keys: test"),
        ("models = 'm.onnx'", r"\[models\] must be a table, got 'm.onnx'"),
        ("data = ['d']", r"\[data\] must be a table"),
        ("seed = 1.5", r"robust.toml: Expected `int`, got `float` - at `\$.seed`"),
        ("seed = true", r"Expected `int`, got `bool`"),
        ("level = '0.9'", r"Expected `float`, got `str` - at `\$.level`"),
        ("decide = 'both'", r"Invalid enum value 'both' - at `\$.decide`"),
        ("gates = '>= 1'", r"Expected `object`, got `str` - at `\$.gates`"),
        ("[models]\noutput = 'scores'", r"Invalid enum value 'scores' - at `\$.models.output`"),
        ("[models]\nbatch_size = 'many'", r"\$.models.batch_size"),
        ("[models]\nclasses = [1.5]", r"\$.models.classes"),
        ("[data]\nunused = 'site'", r"Expected `array.*`, got `str` - at `\$.data.unused`"),
        ("[data]\nbounds = [0]", r"\$.data.bounds"),
        ("[data.schema]\nage = 'integer'", r"\$.data.schema"),
        ("seed = ", r"robust.toml is no valid TOML: Invalid value"),
        ("seed = 1\nseed = 2", r"is no valid TOML"),
        ("", r"robust.toml is empty"),
    ],
)
def test_what_is_not_understood_is_named(tmp_path, text, message):
    with pytest.raises(InvalidInput, match=message):
        load_config(config(tmp_path, text))


def test_files_that_are_none(tmp_path):
    with pytest.raises(InvalidInput, match=r"config .*none.toml does not exist"):
        load_config(tmp_path / "none.toml")
    with pytest.raises(InvalidInput, match=r"config .* cannot be read"):
        load_config(tmp_path)
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInput, match=r"bytes.toml cannot be read"):
        load_config(tmp_path / "bytes.toml")
    with pytest.raises(InvalidInput, match=r"has no \[tool.robust\] table"):
        load_config(config(tmp_path, "[tool.other]\nseed = 1\n", "pyproject.toml"))


def test_a_table_of_pyproject(tmp_path):
    found = load_config(
        config(tmp_path, "[tool.robust]\nseed = 3\n[tool.robust.models]\ncandidate = 'm.onnx'\n", "pyproject.toml")
    )
    assert (found.seed, found.models.candidate) == (3, str(tmp_path / "m.onnx"))


def test_where_a_config_is_found(tmp_path):
    assert find_config(tmp_path) is None
    project = config(tmp_path, "[project]\nname = 'x'\n", "pyproject.toml")
    assert find_config(tmp_path) is None
    # Gates alone: models may come as flags, and a gate must not be passed over.
    project.write_text("[tool.robust.gates]\naccuracy = '> 90%'\n")
    assert find_config(tmp_path) == project
    own = config(tmp_path, "seed = 1\n")
    assert find_config(tmp_path) == own


@pytest.mark.parametrize("content", ["tool = 3", "[tool]\nrobust = 3", "[[tool]]\n[[tool.robust]]"])
def test_odd_pyprojects_are_passed_over(tmp_path, content):
    config(tmp_path, content, "pyproject.toml")
    assert find_config(tmp_path) is None


def test_plain_data_is_checked_alike():
    assert read_config({"seed": 2}, where="flags") == structs.replace(Config(), seed=2)
    with pytest.raises(InvalidInput, match="flags: unknown key 3 in the top level"):
        read_config({3: 2}, where="flags")


# --- flags ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "labels"), [("0,1,2", [0, 1, 2]), ("-1, 1", [-1, 1]), ("cat, dog", ["cat", "dog"]), ("a,1", ["a", "1"])]
)
def test_classes_as_text(text, labels):
    assert overlaid(Config(), {"classes": text}, ()).models.classes == labels


@pytest.mark.parametrize("text", ["", "cat,", ",", "cat,,dog"])
def test_what_are_no_classes(text):
    with pytest.raises(InvalidInput, match="--classes .* would be right"):
        overlaid(Config(), {"classes": text}, ())


def test_flags_reach_their_tables_and_leave_the_rest():
    flags = {"candidate": "m.pt", "reference_factory": "a:b", "surrogate_factory": "c:d", "test": "t.csv", "seed": 0}
    config = Config(seed=3, title="t", models=ModelsTable(reference="r.pt"), gates={"mine": {"limit": "< 1", "eps": 2}})
    flags |= {"validation": "v.csv", "normal": "n.csv", "anomalous": ("fault", "3")}
    found = overlaid(config, flags, ("mine < 3", "f1>=90%"))
    assert (found.data.validation, found.data.normal, found.data.anomalous) == ("v.csv", "n.csv", ["fault", "3"])
    assert found.models == ModelsTable(
        candidate="m.pt", reference="r.pt", reference_factory="a:b", surrogate_factory="c:d"
    )
    assert (found.data.test, found.seed, found.title) == ("t.csv", 0, "t")
    assert found.gates == {"mine": {"limit": "< 3", "eps": 2}, "f1": ">=90%"}


# --- plans ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plan")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(60, 2)), columns=["a", "b"])
    frame["y"] = frame["a"] - frame["b"]
    frame.iloc[:30].to_csv(folder / "train.csv", index=False)
    frame.iloc[30:].to_csv(folder / "test.csv", index=False)
    for name, columns in (("m", ["a", "b"]), ("wide", ["a", "b", "y"])):
        estimator = make_pipeline(LinearRegression()).fit(frame[columns].to_numpy(), frame["y"])
        skops.io.dump(estimator, folder / f"{name}.skops")
    return folder


def plain(files, **changes):
    models = ModelsTable(candidate=str(files / "m.skops"))
    data = DataTable(test=str(files / "test.csv"), train=str(files / "train.csv"), target="y")
    return structs.replace(Config(models=models, data=data), **changes)


def test_a_plan_of_a_config(files, tmp_path):
    found = build_plan(plain(files, seed=3, level=0.9, gates={"rmse": "< 1"}), folder=tmp_path, shards=2)
    subject = found.subject
    assert (subject.task, subject.seed, subject.level, found.shards) == ("regression", 3, 0.9, 2)
    assert (len(subject.test), len(subject.train)) == (30, 30)
    assert (found.title, found.gates[0].check.code) == ("Audit of m.skops", "MET011")
    assert list((tmp_path / "cache").iterdir())  # the candidate's answers are there for the checks


def test_text_is_coded_alike_in_both_splits(files, tmp_path):
    for name, towns in (("train", ["Bonn", "Oslo", "Rom"]), ("test", ["Oslo", "Rom", "Oslo"])):
        pd.DataFrame({"a": [0.1, 0.2, 0.3], "b": towns, "y": [1.0, 2.0, 3.0]}).to_csv(
            tmp_path / f"{name}.csv", index=False
        )
    data = DataTable(test=str(tmp_path / "test.csv"), train=str(tmp_path / "train.csv"), target="y")
    subject = build_plan(plain(files, data=data), folder=None).subject
    assert subject.train.schema.categories == subject.test.schema.categories == ((1, ("Bonn", "Oslo", "Rom")),)
    assert subject.test.x[0, 1] == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"models": ModelsTable()}, "no model to audit: name one with --candidate"),
        ({"data": DataTable()}, "no data to audit on: name it with --data"),
        ({"level": 0.5}, r"level is the confidence of a one-sided bound, in \(0.5, 1\), got 0.5"),
        ({"level": 95.0}, "got 95"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"gates": {"acuracy": "> 1"}}, "no check is called 'acuracy'; did you mean accuracy"),
        ({"gates": {"rmse": "1"}}, "gate 'rmse' has the limit '1'"),
    ],
)
def test_what_cannot_be_planned(files, changes, message):
    with pytest.raises(InvalidInput, match=message):
        build_plan(plain(files, **changes), folder=None)


def test_the_candidate_against_itself(files):
    models = ModelsTable(candidate=str(files / "m.skops"), reference=str(files / ".." / files.name / "m.skops"))
    with pytest.raises(InvalidInput, match="candidate and reference are the same file"):
        build_plan(plain(files, models=models), folder=None)


def test_files_that_are_missing_or_do_not_fit(files):
    for table, message in (
        (ModelsTable(candidate=str(files / "none.skops")), "none.skops does not exist"),
        (ModelsTable(candidate=str(files / "test.csv")), "unknown suffix '.csv'"),
    ):
        with pytest.raises(InvalidInput, match=message):
            build_plan(plain(files, models=table), folder=None)
    with pytest.raises(ModelFault, match=r"wide.skops raised ValueError: .*expecting 3 features"):
        build_plan(plain(files, models=ModelsTable(candidate=str(files / "wide.skops"))), folder=None)
    with pytest.raises(InvalidInput, match="test.csv has no column 'label'; there are a, b, y"):
        build_plan(plain(files, data=DataTable(test=str(files / "test.csv"), target="label")), folder=None)


@pytest.fixture(scope="module")
def classifiers(files):
    """Two classes in the data; models that know these, others, and ones that take other columns."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.normal(size=(60, 2)), columns=["a", "b"])
    frame["y"] = (frame["a"] > 0).astype(int)
    frame.to_csv(files / "labels.csv", index=False)
    frame["y"] = np.arange(60) % 3
    frame.to_csv(files / "three.csv", index=False)
    x, y = frame[["a", "b"]].to_numpy(), (frame["a"] > 0).astype(int)
    for name, rows, labels in (
        ("fits", x, y),
        ("strange", x, y + 5),
        ("more", x, np.arange(60) % 3),
        ("broad", np.hstack([x, x]), y),
    ):
        skops.io.dump(LogisticRegression().fit(rows, labels), files / f"{name}.skops")
    return files


@pytest.mark.parametrize(
    ("names", "rows", "message"),
    [
        ({"candidate": "fits"}, "three", r"the data has labels that fits.skops does not know: \[2\]"),
        ({"candidate": "strange"}, "labels", "the data has labels that strange.skops does not know"),
        ({"candidate": "fits", "reference": "strange"}, "labels", "the reference: the data has labels that strange"),
        ({"candidate": "fits", "reference": "more"}, "labels", "the reference: the models know different classes"),
        ({"candidate": "fits", "reference": "m"}, "labels", "the reference: accuracy is a classification metric"),
        ({"candidate": "m", "reference": "fits"}, "test", "the reference: rmse is a regression metric"),
        ({"candidate": "fits", "reference": "broad"}, "labels", "the reference: broad.skops raised ValueError"),
        ({"candidate": "fits", "surrogate": "broad"}, "labels", "the surrogate: broad.skops raised ValueError"),
        ({"candidate": "fits", "surrogate": "strange"}, "labels", "the surrogate: the data has labels that strange"),
    ],
)
def test_models_that_do_not_fit_the_rows_are_one_error_before_any_check(classifiers, names, rows, message):
    models = ModelsTable(**{role: str(classifiers / f"{name}.skops") for role, name in names.items()})
    data = DataTable(test=str(classifiers / f"{rows}.csv"), target="y")
    with pytest.raises((InvalidInput, ModelFault), match=message):
        build_plan(Config(models=models, data=data), folder=None)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("three", r"the training rows three.csv: the data has labels that fits.skops does not know: \[2\]"),
        ("test", "the training rows test.csv: the data has labels that fits.skops does not know"),
    ],
)
def test_training_rows_that_the_candidate_cannot_have_seen_are_named(classifiers, rows, message):
    data = DataTable(test=str(classifiers / "labels.csv"), train=str(classifiers / f"{rows}.csv"), target="y")
    models = ModelsTable(candidate=str(classifiers / "fits.skops"))
    with pytest.raises(InvalidInput, match=message):
        build_plan(Config(models=models, data=data), folder=None)


def test_validation_rows_are_loaded_and_must_fit(classifiers):
    data = DataTable(test=str(classifiers / "labels.csv"), validation=str(classifiers / "labels.csv"), target="y")
    models = ModelsTable(candidate=str(classifiers / "fits.skops"))
    assert len(build_plan(Config(models=models, data=data), folder=None).subject.validation) == 60
    changed = structs.replace(data, validation=str(classifiers / "three.csv"))
    with pytest.raises(InvalidInput, match=r"the validation rows three.csv: .* does not know: \[2\]"):
        build_plan(Config(models=models, data=changed), folder=None)


@pytest.fixture(scope="module")
def detector(files):
    """A one-class machine, normal rows with and without a column of labels, and test rows of both kinds."""
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(rng.normal(size=(400, 2)), columns=["a", "b"])
    skops.io.dump(OneClassSVM(nu=0.1).fit(frame[:200].to_numpy()), files / "svm.skops")
    frame[200:300].to_csv(files / "bare.csv", index=False)
    frame["y"] = "fine"
    frame[200:300].to_csv(files / "normal.csv", index=False)
    frame.loc[350:, ["a", "b"]] *= 5.0
    frame.loc[350:, "y"] = "fault"
    frame[300:].to_csv(files / "mixed.csv", index=False)
    return files


def detecting(files, **changes):
    table = {"test": str(files / "mixed.csv"), "normal": str(files / "normal.csv"), "anomalous": ["fault"]}
    return Config(
        models=ModelsTable(candidate=str(files / "svm.skops")), data=DataTable(target="y", **(table | changes))
    )


@pytest.mark.parametrize("name", ["normal.csv", "bare.csv"])
def test_normal_rows_make_the_candidate_an_anomaly_detector(detector, name):
    subject = build_plan(detecting(detector, normal=str(detector / name)), folder=None).subject
    assert (subject.task, len(subject.normal), subject.anomalous) == ("anomaly", 100, ("fault",))
    first, *_ = find_check(discover(), "anomaly_detection").run(subject, AnomalyOptions(figure="auc"))
    # Its votes of 1 and -1, taken as scores, would rank anomalies last.
    assert first.name == "auc"
    assert first.value > 0.9


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"normal": None}, r"anomalous got \['fault'\], for an anomaly detector.*--normal"),
        ({"anomalous": ["fire"]}, r"anomalous got \['fire'\], which no row of mixed.csv has"),
        ({"anomalous": None}, r"anomalous got \[1\], which no row of mixed.csv has"),
        ({"anomalous": ["fine", "fault"]}, "all 100 rows of mixed.csv are anomalous"),
        ({"anomalous": ["fine"]}, "100 of 100 rows of normal=normal.csv are labelled anomalous"),
    ],
)
def test_labels_of_anomalies_that_do_not_fit(detector, changes, message):
    with pytest.raises(InvalidInput, match=message):
        build_plan(detecting(detector, **changes), folder=None)


def test_a_classifier_is_no_anomaly_detector(classifiers, detector):
    config = structs.replace(detecting(detector), models=ModelsTable(candidate=str(classifiers / "fits.skops")))
    with pytest.raises(InvalidInput, match="is a classification model, not an autoencoder or a score"):
        build_plan(config, folder=None)


def test_models_that_fit_are_planned_with_and_without_targets(classifiers):
    models = ModelsTable(
        candidate=str(classifiers / "fits.skops"),
        reference=str(classifiers / "broad.skops"),
        surrogate=str(classifiers / "more.skops"),
    )
    data = DataTable(test=str(classifiers / "labels.csv"), target="y")
    for changed in ({"reference": None}, {"reference": None, "surrogate": None}):
        plan = build_plan(Config(models=structs.replace(models, **changed), data=data), folder=None)
        assert plan.subject.task == "classification"


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_are_valid_configs(name):
    found = load_config(example_path(name) / "robust.toml")
    assert found.gates
    assert (example_path(name) / "test.npz").is_file() or (example_path(name) / "test.csv").is_file()

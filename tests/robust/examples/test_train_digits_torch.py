import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from robust.examples.digits_data import Images, digits_split
from robust.examples.digits_torch import small_cnn
from robust.examples.train_digits_torch import build_digits, main, trained_cnn


@pytest.fixture(scope="module")
def few():
    train = digits_split().train
    return Images(x=train.x[:192], y=train.y[:192], ids=train.ids[:192])


def accuracy(network, images):
    with torch.no_grad():
        return float(np.mean(network(torch.from_numpy(images.x)).argmax(dim=1).numpy() == images.y))


def test_training_is_reproducible_and_leaves_the_callers_torch_alone(few):
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    first, second = trained_cnn(few, seed=3), trained_cnn(few, seed=3)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert not first.training
    for one, two in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(one, two)


def test_seed_changes_the_weights(few):
    first, second = trained_cnn(few, seed=0)[0].weight, trained_cnn(few, seed=1)[0].weight
    assert not torch.equal(first, second)


def test_few_rows_teach_much_and_shuffled_labels_nothing(few):
    test = digits_split().test
    shuffled = Images(x=few.x, y=np.random.default_rng(0).permutation(few.y), ids=few.ids)
    assert accuracy(trained_cnn(few), test) > 0.85
    assert accuracy(trained_cnn(shuffled), test) < 0.3


@pytest.mark.slow
def test_rebuilt_digits_are_as_good_as_the_shipped(tmp_path):
    report = build_digits(tmp_path / "digits")
    assert report.rows == 719
    assert report.torch_accuracy >= 0.97
    assert report.float_accuracy >= 0.97
    assert report.int8_accuracy >= 0.97
    assert report.lost - report.won == round(report.rows * (report.float_accuracy - report.int8_accuracy))
    assert report.largest_gap < 1e-4
    small_cnn().load_state_dict(load_file(tmp_path / "digits" / "net.safetensors"), strict=True)
    for name in ("float.onnx", "int8.onnx"):
        onnx.checker.check_model(onnx.load(tmp_path / "digits" / name))


@pytest.mark.slow
def test_command_writes_the_folder_and_says_the_figures(tmp_path):
    result = CliRunner().invoke(main, ["--out", str(tmp_path / "new" / "digits")], catch_exceptions=False)
    assert result.exit_code == 0
    assert "719 test rows, 6138 parameters" in result.output
    written = {path.name for path in (tmp_path / "new" / "digits").iterdir()}
    assert written == {"train.npz", "validation.npz", "test.npz", "net.safetensors", "float.onnx", "int8.onnx"}

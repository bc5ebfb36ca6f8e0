import numpy as np
import pytest
from sklearn.datasets import load_digits

from robust.examples.catalogue import example_path
from robust.examples.digits_data import digits_split, write_digits


def shipped(part):
    with np.load(example_path("digits") / f"{part}.npz", allow_pickle=False) as arrays:
        return dict(arrays)


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_shipped_images_are_the_packages(part):
    arrays, source = shipped(part), load_digits()
    assert set(arrays) == {"x", "y", "ids", "position", "ink"}
    np.testing.assert_allclose(arrays["position"] * 1796, arrays["ids"])
    np.testing.assert_allclose(arrays["ink"] * 16, source.images[arrays["ids"]].mean(axis=(1, 2)), rtol=1e-6)
    assert arrays["x"].dtype == np.float32
    assert arrays["x"].shape == (len(arrays["ids"]), 1, 8, 8)
    np.testing.assert_array_equal(arrays["x"][:, 0] * 16, source.images[arrays["ids"]])
    np.testing.assert_array_equal(arrays["y"], source.target[arrays["ids"]])


def test_splits_are_disjoint_and_cover_the_source():
    ids = [shipped(part)["ids"] for part in ("train", "validation", "test")]
    assert [len(part) for part in ids] == [778, 300, 719]
    assert np.array_equal(np.sort(np.concatenate(ids)), np.arange(1797))


@pytest.mark.parametrize("part", ["validation", "test"])
def test_no_image_of_other_rows_was_trained_on(part):
    train, other = ({image.tobytes() for image in shipped(name)["x"]} for name in ("train", part))
    assert not train & other


def test_digits_are_as_frequent_in_all_parts():
    labels = [shipped(part)["y"] for part in ("train", "validation", "test")]
    shares = [np.bincount(y, minlength=10) / len(y) for y in labels]
    np.testing.assert_allclose(shares[1:], [shares[0]] * 2, atol=4e-3)


def test_rebuilding_gives_the_shipped_arrays_and_the_same_bytes_twice(tmp_path):
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        write_digits(tmp_path / folder)
    for part in ("train", "validation", "test"):
        first, second = (tmp_path / folder / f"{part}.npz" for folder in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()
        with np.load(first, allow_pickle=False) as arrays:
            for key, values in shipped(part).items():
                np.testing.assert_array_equal(arrays[key], values, strict=True)


def test_split_is_in_the_order_of_the_source():
    for images in digits_split():
        assert np.all(np.diff(images.ids) > 0)

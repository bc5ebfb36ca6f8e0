from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest
import torch
from torch import nn

from robust.data.live import as_data
from robust.errors import InvalidInput, ModelFault
from robust.models.conversion import as_model
from robust.predicting.calling import bind


class Small(nn.Module):
    def __init__(self, *, dropout=0.0):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(8 * 64, 10)

    def forward(self, x):
        return self.head(self.drop(torch.relu(self.norm(self.conv(x)))).flatten(1))


@pytest.fixture
def net():
    torch.manual_seed(0)
    module = Small().eval()
    module.norm.running_mean.normal_()
    return module


@pytest.fixture
def images():
    return np.random.default_rng(0).random((100, 1, 8, 8))


@pytest.mark.parametrize("size", [1, 7, 33, 100])
def test_bits_of_outputs_and_gradients_do_not_depend_on_the_batch(net, images, size):
    model = as_model(net)
    whole, slope = model.forward(images), model.gradients(images, np.cos)[1]
    outputs, slopes = [], []
    for start in range(0, 100, size):
        outputs.append(model.forward(images[start : start + size]))
        slopes.append(model.gradients(images[start : start + size], np.cos)[1])
    np.testing.assert_array_equal(np.concatenate(outputs), whole)
    np.testing.assert_array_equal(np.concatenate(slopes), slope)
    assert whole.dtype == slope.dtype == np.float64
    assert slope.shape == images.shape


def test_wide_layers_whose_kernels_depend_on_the_batch_are_equal_too():
    torch.manual_seed(0)
    wide = nn.Sequential(nn.Linear(256, 512), nn.Tanh(), nn.Linear(512, 10)).eval()
    x = np.random.default_rng(0).random((100, 256))
    model = as_model(wide)
    filled = np.concatenate([model.forward(x[i : i + 1]) for i in range(100)])
    np.testing.assert_array_equal(filled, model.forward(x))


class Few(nn.Module):
    """At most so many rows a call."""

    def __init__(self, most):
        super().__init__()
        self.linear, self.most = nn.Linear(4, 3), most
        with torch.no_grad():
            self.linear.weight.copy_(torch.arange(12.0).reshape(3, 4).cos())

    def forward(self, x):
        if len(x) > self.most:
            raise ValueError(f"at most {self.most} rows, got {len(x)}")
        return self.linear(x)


@pytest.mark.parametrize("most", [1, 8])
def test_a_module_that_takes_few_rows_gets_no_more_than_its_batch_size(most):
    net, x = Few(most), np.random.default_rng(0).random((20, 4))
    model = as_model(net, batch_size=most)
    want = net.linear(torch.from_numpy(x).float()).detach().numpy()
    np.testing.assert_allclose(bind(model, as_data(x).schema).outputs(x), want, rtol=1e-6)
    outputs, slopes = model.gradients(x[:most], np.ones_like)
    np.testing.assert_allclose(outputs, want[:most], rtol=1e-6)
    np.testing.assert_allclose(slopes, np.tile(net.linear.weight.detach().numpy().sum(0), (most, 1)), rtol=1e-6)
    for limited in (as_model(net), as_model(net, batch_size=most + 1)):
        with pytest.raises(ModelFault, match=rf"at most {most} rows.*a smaller batch_size, now {limited.batch_size}"):
            bind(limited, as_data(x).schema).outputs(x)


def test_what_a_module_raises_is_told_of_the_whole_block():
    class Never(nn.Module):
        def forward(self, x):
            raise ValueError(f"no good: {len(x)} rows")

    with pytest.raises(ValueError, match="no good: 32 rows"):
        as_model(Never()).forward(np.ones((3, 2)))


def test_outputs_equal_the_module_itself(net, images):
    with torch.no_grad():
        expected = net(torch.from_numpy(images[:64]).float()).double().numpy()
    np.testing.assert_array_equal(as_model(net).forward(images[:64]), expected)


def test_gradient_of_a_linear_module_is_its_weight():
    linear = nn.Linear(3, 2).double()
    flow = np.array([[1.0, 0.0], [0.0, 1.0], [2.0, -1.0]])
    outputs, gradient = as_model(linear).gradients(np.eye(3), lambda outputs: flow)
    weight, bias = linear.weight.detach().numpy(), linear.bias.detach().numpy()
    np.testing.assert_allclose(outputs, weight.T + bias, atol=1e-15)
    np.testing.assert_allclose(gradient, flow @ weight, atol=1e-15)


def test_gradient_equals_central_differences(net, images):
    model = as_model(net.double())
    x, h = images[:5], 1e-5

    def loss(rows):
        return np.sin(model.forward(rows)).sum(axis=1)

    gradient = model.gradients(x, np.cos)[1]
    for place in [(0, 0, 0), (0, 3, 4), (0, 7, 7)]:
        step = np.zeros(x.shape)
        step[(slice(None), *place)] = h
        numeric = (loss(x + step) - loss(x - step)) / (2 * h)
        np.testing.assert_allclose(gradient[(slice(None), *place)], numeric, rtol=1e-6, atol=1e-9)


def test_modes_and_parameters_and_the_global_generator_are_left_alone(images):
    module = Small(dropout=0.5)
    module.norm.eval()  # a mixture: each part must get its own mode back
    modes = [part.training for part in module.modules()]
    state = torch.random.get_rng_state()
    statistics = module.norm.running_mean.clone()
    model = as_model(module)
    first, second = model.forward(images), model.forward(images)
    model.gradients(images, np.ones_like)
    np.testing.assert_array_equal(first, second)
    assert [part.training for part in module.modules()] == modes
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(module.norm.running_mean, statistics)
    assert all(parameter.grad is None for parameter in module.parameters())


def test_modes_come_back_when_the_module_raises(images):
    module = Small()
    with pytest.raises(RuntimeError, match="channels"):
        as_model(module).forward(np.repeat(images, 3, axis=1))
    assert all(part.training for part in module.modules())


def test_gradients_work_inside_no_grad_and_after_a_module_kept_a_tensor():
    class Keeping(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.full((3,), 2.0))
            self.table = None

        def forward(self, x):
            if self.table is None:
                self.table = torch.arange(3.0)
            return x * self.scale * self.table

    model = as_model(Keeping())
    model.forward(np.ones((2, 3)))
    with torch.no_grad():
        _, gradient = model.gradients(np.ones((2, 3)), np.ones_like)
    np.testing.assert_array_equal(gradient, [[0, 2, 4], [0, 2, 4]])


class Doing(nn.Module):
    """Does something with its input, and returns it."""

    def __init__(self, action):
        super().__init__()
        self.action = action

    def forward(self, x):
        found = self.action(x)
        return found if isinstance(found, torch.Tensor) else x


@pytest.mark.parametrize(
    "module",
    [
        nn.Sequential(nn.ReLU(inplace=True), nn.Linear(2, 2)),
        Doing(lambda x: x.sub_(1)),
        Doing(lambda x: x[:, 0].zero_()),
        Doing(lambda x: x.detach().add_(1)),
        Doing(lambda x: x.view(-1).__setitem__(0, 7)),
        # torch counts neither of these as a write
        Doing(lambda x: x.data.add_(1)),
        Doing(lambda x: x.detach().numpy().fill(0)),
    ],
)
def test_a_module_that_changes_its_input_in_place_is_refused(module):
    x = -np.ones((3, 2))
    model = as_model(module)
    for call in (lambda: model.forward(x), lambda: model.gradients(x, np.ones_like)):
        with pytest.raises(ModelFault, match="it changes its input in place"):
            call()
    with torch.inference_mode(), pytest.raises(ModelFault, match="it changes its input in place"):
        model.forward(x)
    assert (x == -1).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_missing_values_and_negative_zeros_are_no_change(dtype):
    module = nn.Sequential(Doing(torch.nan_to_num), nn.Linear(2, 2).to(dtype))
    assert as_model(module).forward(np.array([[np.nan, -0.0]])).shape == (1, 2)


def test_later_layers_may_work_in_place():
    model = as_model(nn.Sequential(nn.Linear(2, 2), nn.ReLU(inplace=True)))
    assert model.forward(np.ones((3, 2))).shape == model.gradients(np.ones((3, 2)), np.ones_like)[1].shape == (3, 2)


def test_outputs_that_autograd_cannot_follow_have_gradient_zero():
    class Rounding(nn.Module):
        def forward(self, x):
            return x.detach().round()

    outputs, gradient = as_model(Rounding()).gradients(np.full((2, 3), 0.7), np.ones_like)
    assert (outputs == 1).all()
    assert (gradient == 0).all()


def test_inputs_take_the_precision_of_the_module(images):
    assert as_model(Small().double()).forward(images).shape == (100, 10)
    assert as_model(Small().bfloat16()).forward(images).dtype == np.float64
    assert as_model(Small()).forward((images * 16).astype(np.uint8)).shape == (100, 10)


def test_outputs_without_columns_are_one_column():
    model = as_model(nn.Sequential(nn.Linear(3, 1), nn.Flatten(0)))
    assert model.forward(np.ones((5, 3))).shape == (5, 1)
    outputs, gradient = model.gradients(np.ones((5, 3)), np.ones_like)
    assert outputs.shape == (5, 1)
    assert gradient.shape == (5, 3)


def test_read_only_and_strided_rows_are_fine():
    x = np.arange(24.0).reshape(4, 6)[::-1, ::2]
    x.flags.writeable = False
    assert as_model(nn.Linear(3, 2)).gradients(x, np.ones_like)[1].shape == (4, 3)


def test_an_embedding_takes_codes_and_gives_no_gradients():
    model = as_model(nn.Sequential(nn.Embedding(5, 3), nn.Flatten(), nn.Linear(6, 2)))
    assert model.gradients is None
    codes = np.array([[0, 1], [4, 2]])
    np.testing.assert_array_equal(model.forward(codes), model.forward(codes.astype(float)))


@pytest.mark.parametrize("shape", [(4, 1, 1), (1, 1, 4)])
def test_axes_of_length_one_are_dropped_in_outputs_and_gradients(shape):
    linear = nn.Linear(3, 4).double()
    x, flow = np.random.default_rng(0).random((5, 3)), np.random.default_rng(1).random((5, 4))
    flat, long = as_model(linear), as_model(nn.Sequential(linear, nn.Unflatten(1, shape)))
    np.testing.assert_array_equal(long.forward(x), flat.forward(x))
    for one, other in zip(
        long.gradients(x, lambda outputs: flow), flat.gradients(x, lambda outputs: flow), strict=True
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Sequential(nn.Linear(3, 20), nn.Unflatten(1, (10, 2))), r"of shape \(32, 10, 2\) for 32 rows; \(32, k\)"),
        # Two heads joined along the rows: the first of them would be judged, and nobody told.
        (Doing(lambda x: torch.cat([x, x])), r"of shape \(64, 3\) for 32 rows"),
    ],
)
def test_outputs_of_another_shape_are_refused_with_and_without_gradients(module, message):
    model = as_model(module)
    for call in (lambda: model.forward(np.ones((5, 3))), lambda: model.gradients(np.ones((5, 3)), np.ones_like)):
        with pytest.raises(ModelFault, match=message):
            call()


def test_two_threads_leave_a_module_in_its_mode_and_see_evaluation_alone():
    inside, done = Event(), Event()

    class Slow(nn.Module):
        def forward(self, x):
            if not inside.is_set():  # the first call lasts until the second is inside, or kept out
                inside.set()
                done.wait(0.3)
            else:
                finished.result(5)
            return torch.full((len(x), 1), float(self.training))

    module, rows = Slow(), np.ones((2, 1))
    model = as_model(module)
    with ThreadPoolExecutor(2) as pool:
        finished = pool.submit(model.forward, rows)
        assert inside.wait(5)
        second = pool.submit(model.forward, rows).result(10)
    assert (finished.result() == 0).all()
    assert (second == 0).all()
    assert module.training


def test_a_loss_may_ask_another_module_with_the_same_parts():
    module = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
    model, inner = as_model(module), as_model(nn.Sequential(module, nn.Identity()))
    with ThreadPoolExecutor(1) as pool:  # in a thread of its own, so that a lock that is not entered again shows
        x = np.ones((3, 2))
        call = pool.submit(model.gradients, x, lambda outputs: inner.forward(x) - outputs)
        np.testing.assert_array_equal(call.result(10)[1], 0)
    assert all(part.training for part in module.modules())


def test_a_module_must_return_one_tensor():
    class Pair(nn.Module):
        def forward(self, x):
            return x, x

    with pytest.raises(InvalidInput, match=r"must return one tensor .* returned tuple"):
        as_model(Pair()).forward(np.ones((2, 2)))


def test_a_module_that_trains_during_evaluation_would_be_caught(images):
    # A deliberately bad model: dropout that ignores the mode. The adapter shows two different answers.
    class Careless(nn.Module):
        def forward(self, x):
            return nn.functional.dropout(x.flatten(1), 0.5, training=True)

    model = as_model(Careless())
    assert (model.forward(images) != model.forward(images)).any()

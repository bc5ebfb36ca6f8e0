"""Minimal-norm attacks against foolbox's DDN, FMN and DeepFool: same models, same process, one thread."""

import statistics
import warnings
from pathlib import Path

import foolbox
import numpy as np
import torch
from torch import nn

from benchmarks.fgsm_curve import images, trained
from benchmarks.timing import alternate
from robust.attacks.ddn import DDN
from robust.attacks.deepfool import DeepFool
from robust.attacks.fmn import FMN
from robust.attacks.minimal_norm import MinimalNorm, norm_space
from robust.attacks.minimal_sizes import sizes_of
from robust.attacks.target import aim
from robust.data.live import as_data
from robust.models.conversion import as_model
from robust.predicting.metering import metered
from robust.types import FloatArray, IntArray

ROWS, RUNS = 250, 5
#: Our attack, foolbox's, the norm's order, the ratio of CPU seconds and the ratio of medians that are wanted.
PAIRS: tuple[tuple[MinimalNorm, str, float, str], ...] = (
    (DDN(), "DDNAttack", 2, "wanted: >= 5, median <= 1.02"),
    (DDN(steps=6), "L2FMNAttack", 2, "wanted: >= 8, median < 1"),
    (DDN(steps=5), "L2DeepFoolAttack", 2, "wanted: >= 8, median < 1"),
    (FMN(norm="linf", steps=10), "LInfFMNAttack", np.inf, "no bar"),
    (FMN(norm="l1"), "L1FMNAttack", 1, "no bar"),
    (DeepFool(), "L2DeepFoolAttack", 2, "no bar"),
)
_MNIST = Path(__file__).parents[2] / "shared" / "data" / "mnist10k.npz"


def run() -> list[tuple[str, str]]:
    """A CNN of 28 × 28 inputs, plain and adversarially trained; MNIST where it lies beside the project, else digits."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    source, x, y = rows()
    lines = [("rows", f"{ROWS} of {source}")]
    for name, budget in (("plain", 0.0), ("adversarially trained", 0.2)):
        held_out = slice(ROWS, None) if source == "MNIST" else slice(None)
        net = trained(x[held_out], y[held_out], budget=budget)
        lines += [line for pair in PAIRS for line in compare(name, net, x[:ROWS], y[:ROWS], *pair)]
    return lines


def rows() -> tuple[str, FloatArray, IntArray]:
    """Images in [0, 1] and their labels."""
    if not _MNIST.exists():
        return ("scikit-learn's digits", *images())
    with np.load(_MNIST, allow_pickle=False) as kept:
        x, y = kept["x"][:6000], kept["y"][:6000]
    return "MNIST", (x[:, None] / 255).astype(np.float32), y.astype(np.int64)


def compare(
    name: str, net: nn.Module, x: FloatArray, y: IntArray, attack: MinimalNorm, peer: str, order: float, wanted: str
) -> list[tuple[str, str]]:
    """Both sides on one model: median norms, CPU seconds, passes."""
    target = aim(as_model(net, output="logits", batch_size=ROWS), as_data(x, y, schema={"bounds": (0, 1)}))
    right = ~target.wrong(target.scores(target.x), slice(None))
    part = target.part(right)
    space = norm_space(attack, part)
    subject = foolbox.PyTorchModel(net, bounds=(0, 1), device="cpu")
    other = getattr(foolbox.attacks, peer)()
    inputs, labels = torch.from_numpy(x), torch.from_numpy(y)
    found: dict[str, FloatArray] = {}

    def ours() -> None:
        found["ours"] = attack.minimal(part, space, seed=0)

    def theirs() -> None:
        torch.manual_seed(0)
        found["theirs"] = other(subject, inputs, labels, epsilons=None)[0].numpy()

    mine, peers = alternate(ours, theirs, runs=RUNS)
    with metered() as meter:
        ours()
    norms, peer_norms = np.zeros(ROWS), np.zeros(ROWS)
    norms[right] = np.where(
        part.wrong(part.scores(found["ours"]), slice(None)), sizes_of(space, part.x, found["ours"]), np.inf
    )
    moved = np.linalg.norm((found["theirs"] - x).reshape(ROWS, -1), ord=order, axis=1)
    broken = target.wrong(target.scores(found["theirs"].reshape(ROWS, -1)), slice(None))
    peer_norms[right] = np.where(broken, moved, np.inf)[right]
    medians = statistics.median(norms), statistics.median(peer_norms)
    title = f"{name}: {type(attack).__name__} {attack.norm}, {getattr(attack, 'steps', 0)} steps / {peer}"
    passes = f"{meter.forward_rows / len(part):.1f} f + {meter.backward_rows / len(part):.1f} b a row"
    return [
        (title, f"{peers / mine:.1f}x ({mine:.2f} s, {peers:.2f} s; {wanted})"),
        (
            "  medians, ratio, not broken",
            f"{medians[0]:.4f} / {medians[1]:.4f}, {medians[0] / medians[1]:.3f}; "
            f"{int(np.isinf(norms).sum())} / {int(np.isinf(peer_norms).sum())}",
        ),
        ("  passes", passes),
    ]

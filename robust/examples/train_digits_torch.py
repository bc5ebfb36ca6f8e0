"""Rebuild the digits example: data, torch weights, float and int8 ONNX.

Run as `python -m robust.examples.train_digits_torch --out robust/examples/digits`.
"""

from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import onnx
import onnxruntime
import torch
from safetensors.torch import save
from torch import nn

from robust.examples.digits_data import Images, digits_split, write_digits
from robust.examples.digits_onnx import float_onnx, int8_onnx
from robust.examples.digits_torch import small_cnn
from robust.types import FloatArray

# Fixed before the test rows were looked at, and not tuned on them.
_EPOCHS, _BATCH, _PEAK_RATE, _DECAY = 40, 64, 1e-2, 1e-2


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitsReport:
    """What the rebuilt digits models do on the test rows.

    Args:
        rows: Number of test rows.
        parameters: Trainable parameters.
        torch_accuracy: Share of rows that the torch network gets right.
        float_accuracy: The same for the float ONNX file.
        int8_accuracy: The same for the int8 ONNX file.
        lost: Rows that only the float file gets right.
        won: Rows that only the int8 file gets right.
        largest_gap: Greatest absolute difference of a logit between torch and the float file.
    """

    rows: int
    parameters: int
    torch_accuracy: float
    float_accuracy: float
    int8_accuracy: float
    lost: int
    won: int
    largest_gap: float


def build_digits(out: Path, *, seed: int = 0) -> DigitsReport:
    """Write the digits example's data and models into a folder.

    Args:
        out: The folder; made if it is missing.
        seed: Seed of the initial weights and of the order of the batches.

    Returns:
        The models' figures on the test rows.
    """
    out.mkdir(parents=True, exist_ok=True)
    write_digits(out)
    train, _, test = digits_split()
    network = trained_cnn(train, seed=seed)
    (out / "net.safetensors").write_bytes(save(network.state_dict()))
    exported = float_onnx(network)
    onnx.save(exported, out / "float.onnx")
    onnx.save(int8_onnx(exported, train.x), out / "int8.onnx")
    with torch.no_grad():
        logits = network(torch.from_numpy(test.x)).numpy()
    float_logits, int8_logits = (onnx_logits(out / name, test.x) for name in ("float.onnx", "int8.onnx"))
    float_right, int8_right = float_logits.argmax(axis=1) == test.y, int8_logits.argmax(axis=1) == test.y
    return DigitsReport(
        rows=len(test.y),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        torch_accuracy=float(np.mean(logits.argmax(axis=1) == test.y)),
        float_accuracy=float(np.mean(float_right)),
        int8_accuracy=float(np.mean(int8_right)),
        lost=int(np.sum(float_right & ~int8_right)),
        won=int(np.sum(int8_right & ~float_right)),
        largest_gap=float(np.abs(logits - float_logits).max()),
    )


def trained_cnn(train: Images, *, seed: int = 0) -> nn.Sequential:
    """Train the small network: cross-entropy, AdamW, one cycle of the learning rate, 40 epochs, one thread.

    Args:
        train: The training images.
        seed: Seed of the initial weights and of the order of the batches.

    Returns:
        The network in evaluation mode.

    Source:
        Loshchilov and Hutter (2019), algorithm 2; Smith and Topin (2019).
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = small_cnn()
        _fit(network, torch.from_numpy(train.x), torch.from_numpy(train.y), torch.Generator().manual_seed(seed))
    finally:
        torch.set_num_threads(threads)
    return network.eval()


def onnx_logits(path: Path, x: FloatArray) -> FloatArray:
    """Logits (n, 10) of an ONNX file for images (n, 1, 8, 8)."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    logits: FloatArray = session.run(None, {"image": x})[0]
    return logits


def _fit(network: nn.Module, x: torch.Tensor, y: torch.Tensor, generator: torch.Generator) -> None:
    """Minimise the cross-entropy in place."""
    steps = _EPOCHS * -(-len(x) // _BATCH)
    optimizer = torch.optim.AdamW(network.parameters(), lr=_PEAK_RATE, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=_PEAK_RATE, total_steps=steps)
    for _ in range(_EPOCHS):
        for rows in torch.randperm(len(x), generator=generator).split(_BATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(x[rows]), y[rows]).backward()
            optimizer.step()
            schedule.step()


@click.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("digits"),
    show_default=True,
    help="Folder to write to.",
)
def main(out: Path) -> None:
    """Rebuild the digits example's data and models."""
    report = build_digits(out)
    click.echo(
        f"{report.rows} test rows, {report.parameters} parameters: "
        f"accuracy {report.float_accuracy:.4f} float, {report.int8_accuracy:.4f} int8 "
        f"({report.lost} rows lost, {report.won} won); "
        f"torch and ONNX differ by at most {report.largest_gap:.1e}"
    )


if __name__ == "__main__":
    main()

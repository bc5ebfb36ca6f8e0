"""Adversarial examples that are images: original, adversarial, and their difference, amplified."""

from typing import Literal

import numpy as np

from robust.attacks.gallery_rows import FragileRows
from robust.data.schema import FeatureSchema
from robust.evidence import Example, Gallery, Picture
from robust.types import AnyArray, FloatArray

#: Axes of a row: `cyx` channels first, `yxc` channels last, `yx` none.
Layout = Literal["cyx", "yxc", "yx"]

_LEAST_SIDE, _LEAST_PLAIN_SIDE, _LONGEST = 4, 8, 4
#: Pixels a side, at most; a report holds two dozen pictures.
_MOST_SIDE = 64
#: Where the adversarial image is brighter, and where it is darker; told apart by colour-blind readers.
_BRIGHTER, _DARKER = (213.0, 94.0, 0.0), (0.0, 114.0, 178.0)


def image_layout(shape: tuple[int, ...]) -> Layout | None:
    """Whether rows of a shape are images, and where their channels are.

    Args:
        shape: Shape of a row: (1, h, w) and (3, h, w), or (h, w, 1) and (h, w, 3), or (h, w) that is no strip.

    Returns:
        The layout, or None.

    >>> image_layout((1, 8, 8)), image_layout((32, 32, 3)), image_layout((28, 28)), image_layout((12, 500))
    ('cyx', 'yxc', 'yx', None)
    """
    if len(shape) == 3 and shape[0] in (1, 3) and min(shape[1:]) >= _LEAST_SIDE:
        return "cyx"
    if len(shape) == 3 and shape[2] in (1, 3) and min(shape[:2]) >= _LEAST_SIDE:
        return "yxc"
    if len(shape) == 2 and min(shape) >= _LEAST_PLAIN_SIDE and max(shape) <= _LONGEST * min(shape):
        return "yx"
    return None


def image_gallery(
    rows: FragileRows,
    schema: FeatureSchema,
    layout: Layout,
) -> Gallery:
    """Draw rows before and after.

    Args:
        rows: Rows before and after, at most 8.
        schema: Its shape is that of the images, its bounds are black and white.
        layout: Where the channels are.

    Returns:
        The gallery.
    """
    before, after = (_images(part, schema.shape, layout) for part in (rows.x, rows.near))
    low, high = _range(schema, before, after)
    grey = before.shape[-1] == 1
    examples = []
    for i, row in enumerate(rows.ids):
        change = np.nan_to_num(after[i] - before[i])
        factor = amplification(float(np.abs(change).max()), high - low)
        shade = np.clip(factor * _thinned(change, extremes=True) / (high - low), -1.0, 1.0)
        examples.append(
            Example(
                id=row,
                words=(
                    f"{rows.classes[i][0]} → {rows.classes[i][1]}",
                    f"change {rows.size[i]:.3g}",
                    f"difference × {factor:g}",
                ),
                pictures=(
                    _picture("original", _bright(before[i], low, high)),
                    _picture("adversarial", _bright(after[i], low, high)),
                    _picture(f"difference × {factor:g}", _coloured(shade) if grey else 127.5 + 127.5 * shade),
                ),
            )
        )
    colours = "orange is brighter, blue darker" if grey else "grey is no change"
    step = _stride(before)
    thinned = f"; one pixel of {step} × {step} is drawn" if step > 1 else ""
    return Gallery(
        title="Adversarial examples, smallest change first",
        examples=tuple(examples),
        note=f"original, adversarial, and their difference, amplified ({colours}); true class → class after; changes "
        f"are the {rows.unit}{thinned}",
        total=rows.total,
    )


def amplification(change: float, span: float) -> float:
    """The largest of 1, 2, 5, 10, 20, … with which a change stays within the range of the values.

    Args:
        change: Largest change of a pixel, at least 0.
        span: Range of the values, above 0.

    Returns:
        The factor, at least 1.

    >>> amplification(0.03, 1.0), amplification(0.5, 1.0), amplification(0.0, 1.0)
    (20.0, 2.0, 1.0)
    """
    if change <= 0 or change >= span:
        return 1.0
    most = span / change * (1 + 1e-9)
    power = 10.0 ** np.floor(np.log10(most))
    return float(max(step * power for step in (1, 2, 5) if step * power <= most))


def _images(rows: AnyArray, shape: tuple[int, ...], layout: Layout) -> FloatArray:
    """Rows (m, d) as images (m, h, w, channels)."""
    images = np.asarray(rows, dtype=np.float64).reshape(len(rows), *shape)
    if layout == "cyx":
        return np.moveaxis(images, 1, -1)
    return images[..., np.newaxis] if layout == "yx" else images


def _range(schema: FeatureSchema, before: FloatArray, after: FloatArray) -> tuple[float, float]:
    """What is black and what is white: the bounds, else the extremes of what is drawn."""
    low, high = float(schema.lower.min()), float(schema.upper.max())
    if not np.isfinite(high - low):
        known = [images[np.isfinite(images)] for images in (before, after)]
        low = min((float(part.min()) for part in known if part.size), default=0.0)
        high = max((float(part.max()) for part in known if part.size), default=1.0)
    return (low, high) if high > low else (low, low + 1.0)


def _stride(images: FloatArray) -> int:
    """Pixels of an image for each that is drawn."""
    return int(np.ceil(max(images.shape[-3:-1]) / _MOST_SIDE))


def _thinned(image: FloatArray, *, extremes: bool = False) -> FloatArray:
    """Every so many pixels of an image (h, w, c), or of each block what is farthest from 0: a change must be seen."""
    step = _stride(image)
    if step == 1 or not extremes:
        return image[::step, ::step]
    height, width, channels = -(-image.shape[0] // step), -(-image.shape[1] // step), image.shape[2]
    padded = np.zeros((height * step, width * step, channels))
    padded[: image.shape[0], : image.shape[1]] = image
    blocks = padded.reshape(height, step, width, step, channels).swapaxes(1, 2).reshape(height, width, -1, channels)
    place = np.abs(blocks).argmax(axis=2, keepdims=True)
    return np.asarray(np.take_along_axis(blocks, place, axis=2)[:, :, 0])


def _bright(image: FloatArray, low: float, high: float) -> FloatArray:
    """An image on the scale of 0 … 255; what is missing is black."""
    return np.asarray(np.nan_to_num((_thinned(image) - low) / (high - low) * 255.0))


def _coloured(shade: FloatArray) -> FloatArray:
    """A grey difference in −1 … 1 (h, w, 1) as colours on white (h, w, 3)."""
    ends = np.where(shade > 0, np.array(_BRIGHTER), np.array(_DARKER))
    return np.asarray(255.0 + np.abs(shade) * (ends - 255.0))


def _picture(title: str, image: FloatArray) -> Picture:
    """An image in 0 … 255 (h, w, c) as bytes."""
    pixels = np.clip(np.round(image), 0, 255).astype(np.uint8)
    channels: Literal[1, 3] = 3 if image.shape[2] == 3 else 1
    return Picture(title=title, width=image.shape[1], height=image.shape[0], channels=channels, pixels=pixels.tobytes())

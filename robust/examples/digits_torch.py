"""The digits example's network as a torch module: the factory that its `net.safetensors` belongs to."""

from torch import nn


def small_cnn() -> nn.Sequential:
    """Build the small convolutional network of the digits example, untrained.

    Two blocks of 3 × 3 convolution, batch normalisation, ReLU and 2 × 2 max pooling (16, then 32 channels),
    then one linear layer: 6,138 parameters. The convolutions have no bias, which batch normalisation would
    cancel.

    Returns:
        A module from images (n, 1, 8, 8) in [0, 1] to logits (n, 10).

    >>> sum(parameter.numel() for parameter in small_cnn().parameters())
    6138
    """
    return nn.Sequential(
        nn.Conv2d(1, 16, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 2 * 2, 10),
    )

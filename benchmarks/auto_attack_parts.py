"""The four attacks of AutoAttack's standard version in linf, written from their papers: the peer of `thorough`.

Every attack works on the rows that the ones before it left, and runs its full course on them: Square alone, which asks
one row at a time in the paper, lets a broken row go. Images in [0, 1]; classes without a third other one are not meant.

Sources: Croce and Hein (2020), Reliable evaluation of adversarial robustness, algorithm 1, equations 5 to 8 and section
6; Croce and Hein (2020), Minimally distorted adversarial examples with a fast adaptive boundary attack, algorithm 1;
Andriushchenko, Croce, Flammarion and Hein (2020), algorithms 1 and 2.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

STEPS, TARGETS, QUERIES = 100, 9, 5000
_SHARE = 0.8  # of the pixels, in Square's first windows
_HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)  # queries after which that share halves
_MOST, _OVERSHOOT, _BACK = 0.1, 1.05, 0.9  # FAB's α_max, η and β


@dataclass(slots=True, kw_only=True)
class Asked:
    """A network, and how many rows went through it each way.

    Args:
        net: The network; its outputs are logits.
        forward: Rows asked.
        backward: Rows whose gradient was asked.
        idle: Passes of both kinds that were spent on rows already broken.
    """

    net: nn.Module
    forward: int = 0
    backward: int = 0
    idle: int = 0

    @property
    def passes(self) -> int:
        """Forward and backward passes."""
        return self.forward + self.backward

    def logits(self, x: Tensor) -> Tensor:
        """Logits of rows."""
        self.forward += len(x)
        with torch.no_grad():
            return self.net(x)

    def slope(self, x: Tensor, loss: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, the loss of each row and its gradient."""
        self.forward, self.backward = self.forward + len(x), self.backward + len(x)
        x = x.detach().requires_grad_()
        z = self.net(x)
        values = loss(z)
        (gradient,) = torch.autograd.grad(values.sum(), x)
        return z.detach(), values.detach(), gradient


def standard(net: Asked, x: Tensor, y: Tensor, eps: float) -> dict[str, Tensor]:
    """Which rows hold after each of the four attacks, each of which is after what the others left (n,)."""
    held = net.logits(x).argmax(dim=1) == y
    after: dict[str, Tensor] = {}

    def strike(attack: Callable[[Tensor, Tensor], Tensor]) -> None:
        left = held.nonzero().flatten()
        if len(left):
            held[left[attack(x[left], y[left])]] = False

    def towards(attack: Callable[..., Tensor], rank: int) -> Callable[[Tensor, Tensor], Tensor]:
        def aimed(rows: Tensor, labels: Tensor) -> Tensor:
            others = net.logits(rows).scatter(1, labels[:, None], -torch.inf)
            return attack(net, rows, labels, eps, others.argsort(dim=1, descending=True)[:, rank])

        return aimed

    strike(lambda rows, labels: apgd(net, rows, labels, eps, lambda z, part: cross_entropy(z, labels[part])))
    after["APGD-CE"] = held.clone()
    for rank in range(TARGETS):
        strike(towards(apgd_targeted, rank))
    after["APGD-T"] = held.clone()
    for rank in range(TARGETS):
        strike(towards(fab_targeted, rank))
    after["FAB-T"] = held.clone()
    strike(lambda rows, labels: square(net, rows, labels, eps))
    after["Square"] = held.clone()
    return after


def cross_entropy(z: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy of each row."""
    return functional.cross_entropy(z, y, reduction="none")


def apgd_targeted(net: Asked, x: Tensor, y: Tensor, eps: float, aim: Tensor) -> Tensor:
    """Which rows APGD breaks on the targeted difference of logits ratio."""

    def loss(z: Tensor, part: slice) -> Tensor:
        top = z.sort(dim=1, descending=True).values
        gap = z.gather(1, y[part, None]) - z.gather(1, aim[part, None])
        return -gap[:, 0] / (top[:, 0] - (top[:, 2] + top[:, 3]) / 2 + 1e-12)

    return apgd(net, x, y, eps, loss)


def apgd(net: Asked, x: Tensor, y: Tensor, eps: float, loss: Callable[[Tensor, slice], Tensor]) -> Tensor:
    """Which rows 100 steps of APGD from one random start break (n,)."""
    everything = slice(None)
    low, high = (x - eps).clamp(0, 1), (x + eps).clamp(0, 1)

    def inside(points: Tensor) -> Tensor:
        return torch.minimum(torch.maximum(points, low), high)

    noise = 2 * torch.rand_like(x) - 1
    now = inside(x + eps * noise / noise.abs().amax(dim=(1, 2, 3), keepdim=True))
    before = now
    z, value, gradient = net.slope(now, lambda z: loss(z, everything))
    broken = z.argmax(dim=1) != y
    best, best_at, best_gradient = value.clone(), now.clone(), gradient.clone()
    rate = torch.full((len(x), 1, 1, 1), 2 * eps)
    rises, marked, halved, last = torch.zeros(len(x)), best.clone(), torch.ones(len(x), dtype=torch.bool), value
    marks, mark = checkpoints(STEPS), 0
    for step in range(1, STEPS + 1):
        fresh = inside(now + rate * gradient.sign())
        if step > 1:
            fresh = inside(now + 0.75 * (fresh - now) + 0.25 * (now - before))
        before, now = now, fresh
        net.idle += 2 * int(broken.sum())
        z, value, gradient = net.slope(now, lambda z: loss(z, everything))
        broken |= z.argmax(dim=1) != y
        better = value > best
        best_at[better], best_gradient[better], best[better] = now[better], gradient[better], value[better]
        rises, last = rises + (value > last), value
        if step in marks:
            cut = (rises <= 0.75 * (step - mark)) | (~halved & (best <= marked))
            rate[cut] /= 2
            now = torch.where(cut[:, None, None, None], best_at, now)
            gradient = torch.where(cut[:, None, None, None], best_gradient, gradient)
            rises, marked, halved, mark = torch.zeros(len(x)), best.clone(), cut, step
    return broken


def checkpoints(steps: int) -> set[int]:
    """Steps after which APGD thinks about its step size."""
    places = [0.0, 0.22]
    while places[-1] < 1:
        places.append(places[-1] + max(places[-1] - places[-2] - 0.03, 0.06))
    return {math.ceil(round(place * steps, 9)) for place in places[1:] if place <= 1}


def fab_targeted(net: Asked, x: Tensor, y: Tensor, eps: float, aim: Tensor) -> Tensor:
    """Which rows 100 steps of FAB towards a class break within the budget (n,)."""
    now, least = x.clone(), torch.full((len(x),), torch.inf)

    def gap(z: Tensor) -> Tensor:
        return (z.gather(1, aim[:, None]) - z.gather(1, y[:, None]))[:, 0]

    for _ in range(STEPS):
        net.idle += 3 * int((least <= eps).sum())
        _, level, slope = net.slope(now, gap)
        # The plane where the linearised gap is 0, as a rise that is wanted from here and from the row itself.
        from_row = -level - ((x - now) * slope).sum(dim=(1, 2, 3))
        near, far = onto_plane(now, slope, -level), onto_plane(x, slope, from_row)
        here, there = (move.abs().amax(dim=(1, 2, 3)).clamp(min=1e-8) for move in (near, far))
        pull = (here / (here + there)).clamp(max=_MOST)[:, None, None, None]
        now = ((1 - pull) * (now + _OVERSHOOT * near) + pull * (x + _OVERSHOOT * far)).clamp(0, 1)
        out = net.logits(now).argmax(dim=1) != y
        least = torch.where(out, torch.minimum(least, (now - x).abs().amax(dim=(1, 2, 3))), least)
        now = torch.where(out[:, None, None, None], x + _BACK * (now - x), now)
    return least <= eps


def onto_plane(x: Tensor, slope: Tensor, rise: Tensor) -> Tensor:
    """The smallest linf move inside [0, 1] along which a linear function rises by so much, or as far as it can."""
    flat, w = x.flatten(1), slope.flatten(1) * rise.sign()[:, None]
    room = torch.where(w > 0, 1 - flat, flat)
    # With radius r the rise is Σ |w| min(r, room): linear between the rooms, in rising order.
    order = room.argsort(dim=1)
    rooms, weights = room.gather(1, order), w.abs().gather(1, order)
    behind = torch.cumsum(rooms * weights, dim=1)
    ahead = weights.sum(dim=1, keepdim=True) - torch.cumsum(weights, dim=1)
    reached = behind + rooms * ahead  # the rise at each room
    at = torch.searchsorted(reached, rise.abs()[:, None]).clamp(max=rooms.shape[1] - 1)
    done = torch.where(at > 0, behind.gather(1, (at - 1).clamp(min=0)), torch.zeros_like(rise)[:, None])
    steep = ahead.gather(1, at) + weights.gather(1, at)
    radius = ((rise.abs()[:, None] - done) / steep.clamp(min=1e-12)).clamp(min=0)
    return (w.sign() * torch.minimum(room, radius)).reshape(x.shape)


def square(net: Asked, x: Tensor, y: Tensor, eps: float) -> Tensor:
    """Which rows random search with square windows breaks in 5,000 queries (n,)."""
    channels, height, width = x.shape[1:]

    def signs(*shape: int) -> Tensor:
        return torch.randint(0, 2, shape) * 2.0 - 1.0

    def margins(points: Tensor, labels: Tensor) -> Tensor:
        z = net.logits(points)
        own = z.gather(1, labels[:, None])[:, 0]
        return own - z.scatter(1, labels[:, None], -torch.inf).amax(dim=1)

    now = (x + eps * signs(len(x), channels, 1, width)).clamp(0, 1)
    least = margins(now, y)
    for query in range(1, QUERIES):
        left = (least > 0).nonzero().flatten()
        if not len(left):
            break
        share = _SHARE / 2 ** sum(query > halving for halving in _HALVINGS)
        side = min(max(round(math.sqrt(share * height * width)), 1), height - 1, width - 1)
        top, start = (int(torch.randint(0, length - side + 1, ())) for length in (height, width))
        window = (slice(None), slice(None), slice(top, top + side), slice(start, start + side))
        wish = now[left].clone()
        wish[window] = (x[left][window] + eps * signs(len(left), channels, 1, 1)).clamp(0, 1)
        found = margins(wish, y[left])
        better = found < least[left]
        now[left[better]], least[left[better]] = wish[better], found[better]
    return least <= 0

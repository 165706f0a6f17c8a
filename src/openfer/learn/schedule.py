"""Learning rates as pure functions of the step, so that a resumed run needs nothing but the step's number."""

from __future__ import annotations

from math import cos, pi

from openfer.learn.options import OptimOptions

RISE = 0.3
START = 1 / 25
"""`onecycle`: share of the steps that rise, and where they start, as a share of the peak (Smith & Topin, 2019)."""


def lr_factor(optim: OptimOptions, step: int, total: int) -> float:
    """Share of the peak learning rate at a step.

    Args:
        optim: the recipe's section.
        step: 0 to total - 1.
        total: steps of the stage.
    """
    if optim.schedule == "onecycle":
        rise = max(1.0, RISE * total)
        if step < rise:
            return START + (1 - START) * (1 - cos(pi * step / rise)) / 2
        return _fall(step - rise, total - rise)
    if optim.schedule == "swin":
        return _swin(max(0, step - optim.lag), total, optim)
    if step < optim.warmup:
        return (step + 1) / optim.warmup
    if optim.schedule == "constant":
        return 1.0
    if optim.schedule == "inverse":
        return 1 / (1 + optim.decay * (step - optim.warmup))
    if optim.schedule == "wave":
        return (1 + cos(pi * (step - optim.warmup) / optim.period)) / 2
    if optim.schedule == "step":
        return optim.decay ** (step * optim.epochs // total // optim.period)
    if optim.schedule == "exponential":
        return max(0.0, 1 - optim.decay) ** (step * optim.epochs // total)
    return _fall(step - optim.warmup, total - optim.warmup)


def _fall(done: float, steps: float) -> float:
    return (1 + cos(pi * min(1.0, done / max(1.0, steps)))) / 2


def _swin(step: int, total: int, optim: OptimOptions) -> float:
    """Liu et al., Swin Transformer, ICCV 2021, as trained by its code: the cosine is not moved by the warm-up."""
    if step < optim.warmup:
        return optim.start + (1 - optim.start) * step / optim.warmup
    return optim.floor + (1 - optim.floor) * _fall(step, total)

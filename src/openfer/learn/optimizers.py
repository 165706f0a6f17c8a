"""Optimisers that PyTorch does not have."""

from __future__ import annotations

from math import sqrt
from typing import Any

import torch


class KerasAdam(torch.optim.Adam):
    """Adam as Keras has it: epsilon is added to the root of the raw second moment, before its bias correction.

    theta <- theta - lr sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + eps)

    That is PyTorch's step with an epsilon of eps / sqrt(1 - b2^t). They differ where gradients are as small as eps.

    Args:
        params: parameters or groups of them.
        lr: learning rate.
        betas: b1 and b2.
        epsilon: eps.

    Source: Kingma and Ba, Adam, ICLR 2015, the efficient form at the end of section 2.
    """

    def __init__(
        self, params: Any, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), epsilon: float = 1e-7
    ) -> None:
        super().__init__(params, lr=lr, betas=betas)
        self.epsilon = epsilon

    def step(self, closure: Any = None) -> Any:
        """See `torch.optim.Adam.step`."""
        for group in self.param_groups:
            # The count is taken from any parameter of the group; all move together.
            done = next((int(self.state[p]["step"]) for p in group["params"] if "step" in self.state[p]), 0)
            group["eps"] = self.epsilon / sqrt(1 - group["betas"][1] ** (done + 1))
        return super().step(closure)

"""Random numbers that are functions of what they are for, not of when they are asked."""

from __future__ import annotations

from math import pi

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float32]


def uniforms(key: tuple[int, ...], samples: NDArray[np.int64], count: int) -> Array:
    """Uniform numbers in [0, 1) for every sample: [B] sample numbers -> float32 [B, count].

    The numbers of a sample depend on `key` (seed, epoch, step, view) and its own number alone, so that any worker or
    process can make them. A counter-based generator: the finaliser of SplitMix64 (Steele et al., OOPSLA 2014).
    """
    with np.errstate(over="ignore"):
        state = np.zeros(1, dtype=np.uint64)
        for part in key:
            state = _mix(state + np.uint64(part))
        rows = _mix(state + samples.astype(np.uint64))
        columns = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        bits = _mix(rows[:, None] + columns[None, :])
    # 24 bits: what a float32 holds exactly, so that 1.0 is never reached.
    return ((bits >> np.uint64(40)).astype(np.float64) / 2.0**24).astype(np.float32)


def normals(seeds: Tensor, count: int) -> Tensor:
    """Standard normal numbers for every sample, on the device of the seeds: [B] uniform -> float32 [B, count].

    The same counter-based generator as `uniforms`, then the transform of Box and Muller (1958).
    """
    rows = _mix_tensor((seeds.double() * 2**24).long())[:, None]
    bits = _mix_tensor(rows + torch.arange(1, count + 1, device=seeds.device) * _signed(0x9E3779B97F4A7C15))
    first, second = (((bits >> shift) & 0xFFFFFF).float() / 2**24 for shift in (40, 16))
    return torch.sqrt(-2 * torch.log1p(-first)) * torch.cos(2 * pi * second)


def number(key: tuple[int, ...]) -> int:
    """One whole number below 2**63 from a key, for generators that want a seed."""
    with np.errstate(over="ignore"):
        state = np.zeros(1, dtype=np.uint64)
        for part in key:
            state = _mix(state + np.uint64(part))
    return int(state[0] >> np.uint64(1))


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _mix_tensor(x: Tensor) -> Tensor:
    """`_mix` on int64, whose products wrap alike; a mask makes its shifts those of unsigned numbers."""
    x = x + _signed(0x9E3779B97F4A7C15)
    x = (x ^ ((x >> 30) & (2**34 - 1))) * _signed(0xBF58476D1CE4E5B9)
    x = (x ^ ((x >> 27) & (2**37 - 1))) * _signed(0x94D049BB133111EB)
    return x ^ ((x >> 31) & (2**33 - 1))


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value

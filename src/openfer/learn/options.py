"""The sections of a recipe as frozen dataclasses: every option, its default, unit and range."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt

Share = Annotated[float, Ge(0), Le(1)]
Below1 = Annotated[float, Ge(0), Lt(1)]
Positive = Annotated[float, Gt(0)]
Count = Annotated[int, Ge(1)]
Word = Literal["none"]


@dataclass(frozen=True, kw_only=True)
class BackboneOptions:
    """The network that makes the embedding.

    Args:
        name: any name that timm knows.
        size: side of the input picture, pixels.
        init: `none` (from scratch), `imagenet`, a file of weights (.safetensors), a Swin trained on faces in the form
            of MEK's authors (.pt, .pth), or a bundle (`default`, a folder).
        output_stride: input pixels per cell of the last feature map, where timm offers it (8, 16 or 32).
        patch: side of a transformer's patches, pixels; `none` = as its name says.
        drop_path: stochastic depth, where timm offers it.
        arguments: further keyword arguments for `timm.create_model`.
    """

    name: str
    size: Annotated[int, Ge(16), Le(1024)] = 96
    init: str = "none"
    output_stride: Literal[8, 16, 32] | Word = "none"
    patch: Count | Word = "none"
    drop_path: Below1 = 0.0
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """What is learned from.

    Args:
        manifest: a Parquet file, or several with commas between; `mini` is the set of generated faces that comes along,
            `mini:COUNT` its first rows.
        holdout: share of the training rows that chooses the epoch and the temperature; 0 = none, the last epoch counts.
        split: rows that train.
        align: template that faces are cut by (see `openfer.vision.align`).
        colour: `grey` or `rgb`.
        margin: around given boxes where no points are known, as a share of the box.
        detail: finest resolution shown to the network, pixels across the frame; 0 = no limit.
        cut: `points` (own points, else detected, else the frame) or `frame` (always the given frame).
        drop_leaks: leave out training pictures that also stand in another split of the manifest.
        classes: learn these classes as if there were no others; `none` for all. No row of another one is seen, neither
            to train nor to choose, so that a few pictures can show it later (few-shot).
    """

    manifest: str
    holdout: Annotated[float, Ge(0), Le(0.5)] = 0.05
    split: Literal["train", "validation", "test"] = "train"
    align: str = "fer2013"
    colour: Literal["grey", "rgb"] = "rgb"
    margin: Annotated[float, Ge(0), Le(2)] = 0.0
    detail: Annotated[int, Ge(0)] = 0
    cut: Literal["points", "frame"] = "points"
    drop_leaks: bool = True
    classes: tuple[str, ...] | Word = "none"


@dataclass(frozen=True, kw_only=True)
class AugmentOptions:
    """Random changes of a training picture; each is a function of (seed, epoch, step, sample) alone.

    Args:
        flip: probability of mirroring.
        affine: largest rotation (degrees), change of scale (share) and shift (share of the side).
        brightness, contrast: largest change, as a share of the range from black to white, and of the contrast.
        blur: largest Gaussian blur, sigma as a share of the side in thousandths (10 = 1 % of the side); half the
            pictures are blurred.
        noise: probability of Gaussian noise, its standard deviation in grey levels of 255, and pixels across of its
            grid (0 = the picture's own); pictures that are not mirrored get it first.
        rescale: smallest factor by which a picture is shrunk and enlarged again; 1 = never; half the pictures.
        erase: probability that a rectangle is painted over.
        erase_area: its smallest and largest share of the picture.
        erase_sides: the largest ratio of its sides.
        erase_fill: `grey` is one random grey, `mean` the colour that is 0 after normalisation, `noise` standard normal
            numbers after normalisation.
        randaugment: operations (at most 4, each on half the pictures), their strength (0 to 10) and its standard
            deviation; see `openfer.learn.randaugment`.
        mixup: parameter of the Beta distribution that mixes pairs of a batch; 0 = none (Zhang et al., ICLR 2018).
    """

    flip: Share = 0.5
    affine: tuple[Annotated[float, Ge(0)], Below1, Below1] = (0.0, 0.0, 0.0)
    brightness: Share = 0.0
    contrast: Share = 0.0
    blur: Annotated[float, Ge(0), Le(50)] = 0.0
    rescale: Annotated[float, Gt(0.05), Le(1)] = 1.0
    noise: tuple[Share, Annotated[float, Ge(0)], Annotated[int, Ge(0)]] = (0.0, 0.0, 0)
    erase: Share = 0.0
    erase_area: tuple[Share, Share] = (0.02, 0.2)
    erase_sides: Annotated[float, Ge(1)] = 3.0
    erase_fill: Literal["grey", "mean", "noise"] = "grey"
    randaugment: tuple[Annotated[int, Ge(0), Le(4)], Annotated[float, Ge(0), Le(10)], Annotated[float, Ge(0)]] = (
        0,
        0.0,
        0.0,
    )
    mixup: Annotated[float, Ge(0)] = 0.0


@dataclass(frozen=True, kw_only=True)
class DistillationOptions:
    """Models that teach this one; see `openfer.learn.distillation`.

    Args:
        teachers: bundles (`default`, folders) or runs with the same classes; their mean answer is learned.
        weight: of that loss beside the method's own.
        temperature: what all logits are divided by: above 1 the less likely classes count more.
    """

    teachers: tuple[str, ...] = ()
    weight: Annotated[float, Ge(0)] = 1.0
    temperature: Positive = 1.0


@dataclass(frozen=True, kw_only=True)
class OptimOptions:
    """How the weights move.

    Args:
        name: optimiser of `torch.optim`; `adam_keras` is Adam as Keras has it (`openfer.learn.optimizers`).
        lr: peak learning rate.
        weight_decay: not applied to biases and normalisation.
        momentum: of SGD.
        schedule: `cosine` (linear warm-up, then down to 0), `onecycle` (cosine up over 30 %, down to 0), `constant`,
            `inverse` (divided by 1 + decay x step), `exponential` (times 1 - decay after every epoch), `swin` (linear
            warm-up from `start`, then a cosine that began at step 0, down to `floor`), `wave` (a cosine down to 0 in
            `period` steps, up again in as many, and so on), `step` (times `decay` every `period` epochs).
        warmup: steps of linear warm-up (not for `onecycle`).
        decay: of `inverse` a step, of `exponential` an epoch, of `step` a period.
        period: of `wave` steps, of `step` epochs.
        start, floor: first and last learning rate of `swin`, as shares of the peak.
        lag: steps that `swin` lags behind; its first rate lasts so much longer.
        epochs: passes over the training rows; steps: updates instead, where it is not `none`.
        batch: pictures an update, over all processes.
        accumulate: parts that an update's batch is computed in; saves memory.
        clip: largest norm of the gradient; 0 = no limit.
    """

    name: Literal["adamw", "adam", "sgd", "adam_keras"] = "adamw"
    lr: Positive = 1e-3
    weight_decay: Annotated[float, Ge(0)] = 0.05
    momentum: Below1 = 0.9
    schedule: Literal["cosine", "onecycle", "constant", "inverse", "exponential", "swin", "wave", "step"] = "cosine"
    warmup: Annotated[int, Ge(0)] = 0
    decay: Annotated[float, Ge(0)] = 0.0
    period: Count = 100
    start: Share = 0.001
    floor: Share = 0.01
    lag: Annotated[int, Ge(0)] = 0
    epochs: Count = 10
    steps: Count | Word = "none"
    batch: Count = 64
    accumulate: Count = 1
    clip: Annotated[float, Ge(0)] = 0.0


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How the run goes.

    Args:
        seed: of everything random.
        precision: `auto` is bf16 on a GPU that has it, else fp32.
        ema: decay of the moving average of the weights, which is then what is judged and exported; `none`.
        select: what the holdout chooses the epoch by; `last` takes the last.
        checkpoint: seconds between checkpoints within an epoch; one is always written at its end.
        device: `auto` or `cpu`.
        tensorboard: write `RUN/tensorboard`.
    """

    seed: Annotated[int, Ge(0)] = 0
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    ema: Annotated[float, Gt(0), Lt(1)] | Word = "none"
    select: Literal["accuracy", "mean_class_accuracy", "loss", "last"] = "accuracy"
    checkpoint: Annotated[float, Ge(0)] = 120.0
    device: Literal["auto", "cpu"] = "auto"
    tensorboard: bool = True

"""Manifest -> pictures that a network learns from: cut once by the one aligner, kept in one memory-mapped cache."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from openfer.data.manifest import Manifest, load_manifest
from openfer.data.pictures import Progress
from openfer.errors import DataError
from openfer.files import replacing, write_text
from openfer.labels import LabelSet
from openfer.learn.augment import COUNT, augment, mixup
from openfer.learn.chance import number, uniforms
from openfer.learn.holdout import partition
from openfer.learn.options import AugmentOptions, DataOptions
from openfer.vision.align import Alignment
from openfer.vision.cut import Cut, cut_face
from openfer.vision.detect import Detector, load_detector

MIXUP = 99
"""Part of the key of mixup's random numbers, apart from those of the views."""


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Pictures and what is known about them, in memory or mapped.

    Args:
        pixels: uint8 [N, S, S, C], C = 1 for grey.
        targets: float32 [N, K], rows sum to 1.
        labels: int64 [N], the targets' largest column.
        rows: int64 [N], row numbers in the manifest.
    """

    pixels: NDArray[np.uint8]
    targets: NDArray[np.float32]
    labels: NDArray[np.int64]
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, chosen: NDArray[np.int64]) -> Samples:
        return Samples(
            pixels=self.pixels[chosen], targets=self.targets[chosen], labels=self.labels[chosen], rows=self.rows[chosen]
        )


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """What a run learns from.

    Args:
        samples: all usable rows of the training split.
        train, holdout: numbers of samples.
        facts: what the run's record keeps: hash of the manifest, layout, rule, counts, how rows were cut.
    """

    labels: LabelSet
    samples: Samples
    train: NDArray[np.int64]
    holdout: NDArray[np.int64]
    facts: dict[str, Any]


def alignment_of(data: DataOptions, size: int) -> Alignment:
    """The aligner's settings that a recipe asks for."""
    return Alignment(template=data.align, size=size, colour=data.colour, margin=data.margin, detail=data.detail)


def open_manifest(source: str) -> Manifest:
    """The manifest that a recipe names: a file, or several with commas between; `mini` is the set that comes along."""
    return load_manifest(*(part.strip() for part in source.split(",")))


def load_training_data(data: DataOptions, size: int, seed: int, advance: Progress | None = None) -> TrainingData:
    """Read, cut and split what a recipe names.

    Raises:
        DataError: no manifest, no usable training row, or fewer than two classes.
    """
    from openfer.data.check import content_hashes

    manifest = open_manifest(data.manifest).select()
    hashes = content_hashes(manifest)
    labels = manifest.label_indices()
    if data.classes != "none":
        wanted = manifest.of_classes(data.classes).labels
        labels[~np.isin(labels, manifest.labels.columns_for(wanted))] = -1
    parts = partition(
        labels,
        manifest.column("split"),
        hashes,
        manifest.column("subject"),
        split=data.split,
        share=data.holdout,
        seed=seed,
        drop_leaks=data.drop_leaks,
    )
    rows = np.sort(np.concatenate([parts.train, parts.holdout]))
    chosen = manifest.rows(rows)
    if not len(chosen) or len(set(chosen.column("label"))) < 2:
        raise DataError(f"{data.manifest}: split '{data.split}' has no two classes with usable pictures")
    if data.classes != "none":
        chosen = chosen.of_classes(data.classes)
    contents = [str(hashes[row]) for row in rows]
    pixels, ways = cut_all(chosen, contents, alignment_of(data, size), data.cut, advance)
    targets = chosen.targets()
    samples = Samples(pixels=pixels, targets=targets, labels=targets.argmax(1), rows=rows)
    facts = {
        "manifest": manifest.digest,
        "pictures": hashlib.sha256("\n".join(contents).encode()).hexdigest(),
        "layout": chosen.origin.layout,
        "rule": chosen.origin.rule,
        "rows": len(parts.train),
        "holdout": len(parts.holdout),
        "leaks_left_out": len(parts.leaks),
        "cut": dict(Counter(ways)),
    }
    train, holdout = np.searchsorted(rows, parts.train), np.searchsorted(rows, parts.holdout)
    return TrainingData(labels=chosen.labels, samples=samples, train=train, holdout=holdout, facts=facts)


def cache_folder() -> Path:
    """Where cut pictures are kept: `OPENFER_CACHE`, else `openfer` in the user's cache folder."""
    own = os.environ.get("OPENFER_CACHE")
    return Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "openfer"


def cut_all(
    manifest: Manifest, contents: list[str], alignment: Alignment, cut: str, advance: Progress | None = None
) -> tuple[NDArray[np.uint8], list[str]]:
    """Every row's picture as the network reads it, from the cache or cut now and kept there.

    Args:
        manifest: N rows.
        contents: N hashes of their pixels; a path alone does not say what lies there.
        alignment: the network's settings.
        cut: `points` or `frame`.
        advance: is told how far the cutting is.

    Returns:
        uint8 [N, S, S, C] (mapped from the cache; C = 1 for grey), and the way that each row was cut.

    Raises:
        DataError: a row cannot be cut; the message names it.
    """
    parts = [*contents, json.dumps(asdict(alignment)), cut]
    parts += [json.dumps(manifest.column(name)) for name in ("points5", "points5_status", "box")]
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
    pixels_path, ways_path = cache_folder() / f"{key}.npy", cache_folder() / f"{key}.json"
    if not (pixels_path.is_file() and ways_path.is_file()):
        _cut_to_cache(manifest, alignment, cut, pixels_path, ways_path, advance)
    return np.load(pixels_path, mmap_mode="r"), json.loads(ways_path.read_text())


def _cut_to_cache(
    manifest: Manifest, alignment: Alignment, cut: str, pixels_path: Path, ways_path: Path, advance: Progress | None
) -> None:
    channels = 1 if alignment.colour == "grey" else 3
    shape = (len(manifest), alignment.size, alignment.size, channels)
    given, searched = manifest.column("points5"), manifest.column("points5_status")
    detector: Detector | None = None
    ways: list[str] = []
    with replacing(pixels_path) as beside:
        mapped = np.lib.format.open_memmap(beside, mode="w+", dtype=np.uint8, shape=shape)
        for row in range(len(manifest)):
            search = cut == "points" and given[row] is None and searched[row] is None
            if search and detector is None:
                detector = load_detector("centerface")
            face = _cut_row(manifest, row, alignment, cut, detector if search else None)
            mapped[row] = face.pixels[:, :, :channels]
            ways.append(face.way)
            if advance:
                advance(row + 1, len(manifest))
        mapped.flush()
    write_text(ways_path, json.dumps(ways))


def _cut_row(manifest: Manifest, row: int, alignment: Alignment, cut: str, detector: Detector | None) -> Cut:
    picture = manifest.picture(row)
    try:
        points5 = manifest.points5(row) if cut == "points" else None
        return cut_face(picture, alignment, points5=points5, box=manifest.box(row), detector=detector)
    except DataError as error:
        raise DataError(
            f"{manifest.name(row)}: cannot be cut ({error}); mend its points or box, or give the row another status"
        ) from error


@dataclass(frozen=True, kw_only=True)
class BatchMaker:
    """Samples become the batches of a network: on its device, changed at random for training, normalised.

    Args:
        samples: pictures and targets.
        augment: the recipe's section.
        mean, std: per channel, of pixels 0 to 1.
        inputs: the method's.
        device: where the network is.
        seed: of the random changes.
    """

    samples: Samples
    augment: AugmentOptions
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    inputs: tuple[str, ...]
    device: torch.device
    seed: int

    def train(self, chosen: NDArray[np.int64], key: tuple[int, ...], part: slice = slice(None)) -> dict[str, Tensor]:
        """A training batch.

        Args:
            chosen: [B] sample numbers of the whole step, over all processes.
            key: what the random changes depend on: stage, epoch, step.
            part: what of `chosen` this process computes; the random changes are the same however it is cut.
        """
        batch = self._changed(chosen[part], key)
        if self.augment.mixup > 0:
            # Partners come from the whole step, so that they are the same however many processes share it.
            rng = np.random.default_rng(number((self.seed, *key, MIXUP)))
            weight = float(rng.beta(self.augment.mixup, self.augment.mixup))
            partner = self._changed(rng.permutation(chosen)[part], key)
            for name in (*self._views, "target", "one_hot"):
                batch[name] = mixup(batch[name], partner[name], weight)
        return self._normalised(batch)

    @property
    def _views(self) -> tuple[str, ...]:
        return tuple(name for name in ("image", "image2") if name in self.inputs)

    def _changed(self, chosen: NDArray[np.int64], key: tuple[int, ...]) -> dict[str, Tensor]:
        batch = self.plain(chosen)
        pixels = batch["image"]
        for view, name in enumerate(self._views):
            u = uniforms((self.seed, *key, view), chosen, COUNT)
            batch[name] = augment(pixels, torch.from_numpy(u).to(self.device), self.augment, self.mean, self.std)
        return batch

    def judge(self, chosen: NDArray[np.int64], size: int) -> Iterator[dict[str, Tensor]]:
        """Batches of these samples in order, without random changes."""
        for start in range(0, len(chosen), size):
            yield self._normalised(self.plain(chosen[start : start + size]))

    def plain(self, chosen: NDArray[np.int64]) -> dict[str, Tensor]:
        """Tensors of these samples, `image` [B, C, S, S] float, 0 to 1, nothing changed."""
        part = self.samples[chosen]
        image = torch.from_numpy(np.ascontiguousarray(part.pixels)).to(self.device)
        label = torch.from_numpy(part.labels).to(self.device)
        return {
            "image": image.permute(0, 3, 1, 2).float().div_(255),
            "target": torch.from_numpy(part.targets).to(self.device),
            "label": label,
            "one_hot": F.one_hot(label, part.targets.shape[1]).float(),
            "row": torch.from_numpy(chosen).to(self.device),
        }

    @cached_property
    def _scale(self) -> tuple[Tensor, Tensor]:
        mean, std = (torch.tensor(v, device=self.device).view(1, 3, 1, 1) for v in (self.mean, self.std))
        return mean, std

    def _normalised(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        mean, std = self._scale
        for name in (name for name in ("image", "image2") if name in batch):
            # A grey picture's one channel becomes three by broadcasting.
            batch[name] = ((batch[name] - mean) / std).contiguous(memory_format=torch.channels_last)
        return batch

"""Pictures become faces with expressions, several pictures at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from openfer.bundle.load import DEFAULT, Bundle, load_bundle
from openfer.errors import ConfigError, ModelError
from openfer.labels import LabelSet, canonical, label_set
from openfer.predict.look import Eye, ImageLike, Order, Seen, look
from openfer.predict.maps import check_has_maps, class_maps
from openfer.records import Prediction
from openfer.runtime import thread_count
from openfer.vision.detect import DETECT_SIZE, Detector, load_detector
from openfer.vision.image import MAX_PIXELS
from openfer.vision.landmarks import Landmarker

CHUNK = 16
"""Pictures whose faces are classified together."""
DETECT_SIZES = (32, 4096)
"""Smallest and largest long side, pixels, at which a picture is searched."""


@dataclass(frozen=True)
class Predictor:
    """A detector and a model, ready for any number of pictures. Safe to use from several threads.

    Args:
        bundle: the model.
        detector: finds the faces; None where every picture is a face already.
        labels: the labels to choose among, in the order of the probabilities; a subset of the model's.
        detect_size: the long side, pixels, at which a picture is searched.
        min_confidence: a label less probable than this is `uncertain`, 0 to 1.
        max_pixels: larger pictures are refused.
        threads: upper bound of threads; None for all that this process may use.
        maps: whether predictions carry the model's class maps.
        landmarker: finds the faces' 68 points; None where nobody asked for them.
    """

    bundle: Bundle
    detector: Detector | None
    labels: LabelSet
    detect_size: int = DETECT_SIZE
    min_confidence: float = 0.0
    max_pixels: int = MAX_PIXELS
    threads: int | None = None
    maps: bool = False
    landmarker: Landmarker | None = None

    @classmethod
    def load(
        cls,
        name_or_path: str | Path = DEFAULT,
        *,
        detector: str = "centerface",
        detect_size: int = DETECT_SIZE,
        labels: str | None = None,
        min_confidence: float = 0.0,
        max_pixels: int = MAX_PIXELS,
        threads: int | None = None,
        maps: bool = False,
        landmarks: bool = False,
    ) -> Predictor:
        """A predictor from a model's name or folder.

        Args:
            name_or_path: `default`, the name of a model in the package, or a bundle's folder.
            detector: a name of `openfer.vision.detect.DETECTORS`; `none` takes every picture as one face.
            detect_size: the long side, pixels, at which a picture is searched: larger finds smaller faces, slower.
            labels: choose among these only: the name of a label set, or names with commas (`happiness,anger`). Their
                probabilities are brought to a sum of 1. None for all labels of the model.
            min_confidence: a label less probable than this is `uncertain`, 0 to 1.
            max_pixels: larger pictures are refused, before they are decoded.
            threads: upper bound of threads; None for all that this process may use.
            maps: add each face's class maps to its prediction.
            landmarks: add each face's 68 points to it (`Face.landmarks`).

        Raises:
            ConfigError: an unknown detector, a label that the model does not have, a number out of range.
            ModelError: no such model, one that does not hold what its card says, or maps of one that has none.
        """
        low, high = DETECT_SIZES
        if not low <= detect_size <= high:
            raise ConfigError(f"detect size: expected {low} to {high} px, got {detect_size}")
        if not 0.0 <= min_confidence <= 1.0:
            raise ConfigError(f"min confidence: expected 0 to 1, got {min_confidence}")
        if max_pixels < 1:
            raise ConfigError(f"max pixels: expected 1 or more, got {max_pixels}")
        thread_count(threads)
        # Pictures are worked on side by side, one thread each: sessions that take all cores would wait for each other.
        bundle = load_bundle(name_or_path, threads=1)
        if bundle.card.inputs != ("image",):
            raise ModelError(
                f"{bundle.path}: needs the inputs {', '.join(bundle.card.inputs)}; photos are read for 'image' alone"
            )
        if maps:
            check_has_maps(bundle)
        return cls(
            bundle,
            load_detector(detector, threads=1),
            _chosen(bundle.card.label_names(), labels),
            detect_size,
            min_confidence,
            max_pixels,
            threads,
            maps,
            Landmarker.load(threads=1) if landmarks else None,
        )

    def predict(self, images: Iterable[ImageLike], *, order: Order = "rgb") -> list[list[Prediction]]:
        """The faces of pictures: one list a picture, largest face first.

        A picture without a face gives one prediction with the status `no_face`, one that cannot be read
        `unreadable: <why>` or `unsupported: <why>`; no picture raises.

        Args:
            images: paths, files' bytes, PIL images or arrays (uint8 [H, W] or [H, W, 3]).
            order: the order of the arrays' colour channels; OpenCV's are `bgr`.

        Raises:
            ConfigError: a single image where a list of images is expected.
        """
        return list(self.iter_predict(images, order=order))

    def iter_predict(
        self, images: Iterable[ImageLike], *, order: Order = "rgb", chunk: int = CHUNK
    ) -> Iterator[list[Prediction]]:
        """As `predict`, one picture after the other, for any number of pictures in little memory.

        Args:
            images: see `predict`; taken at most three chunks ahead of what has been handed out.
            order: see `predict`.
            chunk: pictures whose faces are classified together. 1 answers each picture before it takes the next, as a
                camera wants it.
        """
        single = isinstance(images, str | Path | bytes | Image.Image)
        if single or (isinstance(images, np.ndarray) and images.ndim < 4):
            raise ConfigError("predict: expected a list of images, got one image; write predict([image])")
        if order not in ("rgb", "bgr"):
            raise ConfigError(f"order: expected 'rgb' or 'bgr', got '{order}'")
        if chunk < 1:
            raise ConfigError(f"chunk: expected 1 or more, got {chunk}")
        eye = Eye(
            detector=self.detector,
            alignment=self.bundle.card.input.alignment(),
            detect_size=self.detect_size,
            max_pixels=self.max_pixels,
            order=order,
            landmarker=self.landmarker,
        )
        images, workers = iter(images), thread_count(self.threads)
        if workers == 1 or chunk == 1:
            return self._one_by_one(images, eye, chunk)
        return self._side_by_side(images, eye, max(chunk, workers), workers)

    def _one_by_one(self, images: Iterator[ImageLike], eye: Eye, chunk: int) -> Iterator[list[Prediction]]:
        while part := list(islice(images, chunk)):
            yield from self._classify([look(image, eye) for image in part])

    def _side_by_side(
        self, images: Iterator[ImageLike], eye: Eye, chunk: int, workers: int
    ) -> Iterator[list[Prediction]]:
        """Chunks go through two queues, one is looked at and one classified at a time; more pictures are not taken."""
        looking: deque[list[Future[Seen]]] = deque()
        classifying: deque[Future[list[list[Prediction]]]] = deque()
        pool = ThreadPoolExecutor(workers, thread_name_prefix="openfer")
        try:
            more = True
            while more or looking or classifying:
                part = list(islice(images, chunk)) if more else []
                more = len(part) == chunk
                if part:
                    looking.append([pool.submit(look, image, eye) for image in part])
                if looking and (len(looking) > 1 or not more):
                    seen = [future.result() for future in looking.popleft()]
                    classifying.append(pool.submit(self._classify, seen))
                if classifying and (len(classifying) > 1 or not (more or looking)):
                    yield from classifying.popleft().result()
        finally:
            # Also where the caller wants no more: what waits is dropped, what runs ends within a picture.
            pool.shutdown(cancel_futures=True)

    def _classify(self, seen: list[Seen]) -> list[list[Prediction]]:
        """Add the probabilities to the rows: the faces of all pictures go through the network together."""
        pixels = [cut for picture in seen for cut in picture.pixels if cut is not None]
        if not pixels:
            return [picture.rows for picture in seen]
        columns = self.bundle.card.label_names().columns_for(self.labels)
        logits, *more = self.bundle.run(np.stack(pixels), outputs=("logits", "maps") if self.maps else ("logits",))
        answers = iter(self.bundle.calibrated(logits, columns=columns).tolist())
        maps = iter(more[0][:, list(columns)] if more else ())

        def finished(row: Prediction, cut: object) -> Prediction:
            if cut is None:
                return row
            probabilities = dict(zip(self.labels, next(answers), strict=True))
            row = replace(row, probabilities=probabilities, min_confidence=self.min_confidence)
            if not self.maps or row.found is None:
                return row
            alignment = self.bundle.card.input.alignment()
            return replace(row, maps=class_maps(next(maps), self.labels, row.found, alignment))

        return [[finished(row, cut) for row, cut in zip(picture.rows, picture.pixels, strict=True)] for picture in seen]


def _chosen(own: LabelSet, wanted: str | None) -> LabelSet:
    """The model's labels, or those of them that the user names."""
    if wanted is None:
        return own
    # A model's own name for a label comes first, then the words that people use for it (`happy`).
    words = label_set(wanted)
    chosen = LabelSet(words.name, tuple(word if word in own else canonical(word) or word for word in words))
    unknown = [name for name in chosen if name not in own]
    if unknown:
        raise ConfigError(f"labels '{wanted}': the model does not know {', '.join(unknown)}; it has {', '.join(own)}")
    return chosen


def analyze(
    image: ImageLike,
    *,
    model: str | Path = DEFAULT,
    detector: str = "centerface",
    detect_size: int = DETECT_SIZE,
    labels: str | None = None,
    min_confidence: float = 0.0,
    threads: int | None = None,
    order: Order = "rgb",
) -> list[Prediction]:
    """The faces of one picture, largest first. The model stays loaded for the next call.

        for prediction in openfer.analyze("photo.jpg"):
            print(prediction.label, prediction.confidence)

    Args:
        image: a path, a file's bytes, a PIL image or an array (uint8 [H, W] or [H, W, 3]).
        model: see `Predictor.load`, also for `detector`, `detect_size`, `labels`, `min_confidence` and `threads`.
        order: the order of an array's colour channels; OpenCV's are `bgr`.

    Returns:
        One prediction a face; a picture without a face, or one that cannot be read, gives one whose status says so.

    Raises:
        ConfigError, ModelError: as `Predictor.load`; no picture raises.
    """
    predictor = _cached(str(model), detector, detect_size, labels, min_confidence, threads)
    return predictor.predict([image], order=order)[0]


@lru_cache(maxsize=4)
def _cached(
    model: str, detector: str, detect_size: int, labels: str | None, min_confidence: float, threads: int | None
) -> Predictor:
    return Predictor.load(
        model,
        detector=detector,
        detect_size=detect_size,
        labels=labels,
        min_confidence=min_confidence,
        threads=threads,
    )

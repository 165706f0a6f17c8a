"""Pictures become faces with expressions, several pictures at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import count, islice
from pathlib import Path

import numpy as np
from PIL import Image

from openfer.bundle.load import DEFAULT, Array, Bundle, load_bundle
from openfer.errors import ConfigError, ModelError
from openfer.labels import LabelSet, canonical, label_set
from openfer.predict.flow import in_chunks
from openfer.predict.look import Eye, ImageLike, Marks, Order, Seen, look
from openfer.predict.maps import check_has_maps, class_maps
from openfer.predict.network import INPUTS, run_network
from openfer.predict.support import SUPPORT_MODEL
from openfer.predict.support.file import load_support
from openfer.predict.support.gather import gather
from openfer.predict.support.support import ModelKey, Support
from openfer.predict.units import check_has_units, face_units, unit_outputs
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
        landmarker: finds the faces' 68 points; None where nobody asked for them and the model does not read them.
        landmarks: whether faces carry the 68 points.
        aus: whether predictions carry action units.
        support: examples of classes of one's own, which then are the labels.
        min_similarity: a face less like its class than this is `none`, -1 to 1; None for no limit.
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
    landmarks: bool = False
    aus: bool = False
    support: Support | None = None
    min_similarity: float | None = None

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
        aus: bool = False,
        support: str | Path | Support | None = None,
        min_similarity: float | None = None,
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
            aus: add each face's action units to its prediction.
            support: classes of one's own, instead of the model's: a folder with a folder of pictures for each, a file
                that `openfer support build` made, or what `load_support` gave. `default` is then `SUPPORT_MODEL`.
            min_similarity: with a support, a face less like its class than this is `none`, -1 to 1; None for no limit.

        Raises:
            ConfigError: an unknown detector, a label that the model does not have, a number out of range, or options
                that do not go together.
            DataError: a support that cannot be read.
            ModelError: no such model, one that does not hold what its card says, maps or action units of one that has
                none, or a support that was made with another model.
        """
        low, high = DETECT_SIZES
        if not low <= detect_size <= high:
            raise ConfigError(f"detect size: expected {low} to {high} px, got {detect_size}")
        if not 0.0 <= min_confidence <= 1.0:
            raise ConfigError(f"min confidence: expected 0 to 1, got {min_confidence}")
        if max_pixels < 1:
            raise ConfigError(f"max pixels: expected 1 or more, got {max_pixels}")
        thread_count(threads)
        if support is not None and str(name_or_path) == DEFAULT:
            name_or_path = SUPPORT_MODEL
        # Pictures are worked on side by side, one thread each: sessions that take all cores would wait for each other.
        bundle = load_bundle(name_or_path, threads=1)
        if not set(bundle.card.inputs) <= set(INPUTS):
            wanted = ", ".join(bundle.card.inputs)
            raise ModelError(f"{bundle.path}: needs the inputs {wanted}; photos give {', '.join(INPUTS)}")
        if maps:
            check_has_maps(bundle)
        if aus:
            check_has_units(bundle)
        predictor = cls(
            bundle,
            load_detector(detector, threads=1),
            _chosen(bundle.card.label_names(), labels),
            detect_size,
            min_confidence,
            max_pixels,
            threads,
            maps,
            Landmarker.load(threads=1) if landmarks or "landmarks" in bundle.card.inputs else None,
            landmarks,
            aus,
        )
        return predictor.with_support(support, min_similarity=min_similarity)

    def with_support(self, support: str | Path | Support | None, *, min_similarity: float | None = None) -> Predictor:
        """The same predictor, asked for the classes of a support; see `load`."""
        if min_similarity is not None and support is None:
            raise ConfigError("min similarity: to what? Name the examples with a support")
        if min_similarity is not None and not -1.0 <= min_similarity <= 1.0:
            raise ConfigError(f"min similarity: expected -1 to 1, got {min_similarity}")
        if support is None:
            return self
        if self.aus:
            raise ConfigError("aus: are the model's; a support has its own answer")
        if self.maps or self.labels != self.bundle.card.label_names():
            raise ConfigError(f"{'maps' if self.maps else 'labels'}: are the model's, not those of a support")
        name = "the support" if isinstance(support, Support) else str(support)
        if not isinstance(support, Support):
            path = Path(support)
            support = gather(path, self).support if path.is_dir() else load_support(path)
        support.check_model(self.bundle.card, name=name)
        return replace(self, labels=support.labels, support=support, min_similarity=min_similarity)

    def embed(self, images: Iterable[ImageLike]) -> Iterator[tuple[list[Prediction], list[Array | None]]]:
        """The faces of each picture without an answer, and their features, such as a support holds.

        Args:
            images: see `predict`.

        Yields:
            For each picture its rows, and for each row float32 [2, D]: of the face, and of the face mirrored; None
            where there is nothing to classify.
        """
        eye, output = self._eye("rgb"), ModelKey.of(self.bundle.card).output
        with ThreadPoolExecutor(thread_count(self.threads), thread_name_prefix="openfer") as pool:
            images = iter(images)
            while part := list(islice(images, CHUNK)):
                seen = list(pool.map(partial(look, eye=eye), part))
                plain, mirrored = (run_network(self.bundle, seen, (output,), mirrored=way) for way in (False, True))
                features = iter(np.stack([plain[0], mirrored[0]], axis=1) if plain else ())
                for picture in seen:
                    yield picture.rows, [None if cut is None else next(features) for cut in picture.pixels]

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
        eye = self._eye(order)
        see = partial(look, eye=eye)
        return in_chunks(iter(images), see, self._classify, chunk=chunk, workers=thread_count(self.threads))

    def _eye(self, order: Order) -> Eye:
        return Eye(
            detector=self.detector,
            alignment=self.bundle.card.input.alignment(),
            detect_size=self.detect_size,
            max_pixels=self.max_pixels,
            order=order,
            landmarker=self.landmarker,
            show_landmarks=self.landmarks,
            read_landmarks="landmarks" in self.bundle.card.inputs,
        )

    def _classify(self, seen: list[Seen]) -> list[list[Prediction]]:
        """Add the probabilities to the rows: the faces of all pictures go through the network together."""
        if self.support is not None:
            return self._compare(seen, self.support)
        units = unit_outputs(self.bundle) if self.aus else ()
        outputs = ("logits", *(("maps",) if self.maps else ()), *units)
        found = dict(zip(outputs, run_network(self.bundle, seen, outputs), strict=False))
        if not found:
            return [picture.rows for picture in seen]
        columns = self.bundle.card.label_names().columns_for(self.labels)
        answers = self.bundle.calibrated(found["logits"], columns=columns).tolist()
        places = count()

        def finished(row: Prediction, cut: object, marks: Marks | None) -> Prediction:
            if cut is None:
                return row
            place = next(places)
            row = self._answered(row, answers[place])
            if self.maps and row.found is not None:
                alignment = self.bundle.card.input.alignment()
                values = found["maps"][place, list(columns)]
                row = replace(row, maps=class_maps(values, self.labels, row.found, alignment))
            if self.aus:
                attention = found["attention"][place] if "attention" in found else None
                row = replace(row, aus=face_units(found["aus"][place], attention, marks.points if marks else None))
            return row

        return [
            [finished(*parts) for parts in zip(picture.rows, picture.pixels, picture.marks, strict=True)]
            for picture in seen
        ]

    def _compare(self, seen: list[Seen], support: Support) -> list[list[Prediction]]:
        """As `_classify`, by what the support shows."""
        answered = run_network(self.bundle, seen, (support.model.output,))
        if not answered:
            return [picture.rows for picture in seen]
        likely, alike = (iter(values.tolist()) for values in support.answer(answered[0]))

        def finished(row: Prediction, cut: object) -> Prediction:
            if cut is None:
                return row
            row = self._answered(row, next(likely))
            return replace(row, similarity=next(alike), min_similarity=self.min_similarity)

        return [[finished(row, cut) for row, cut in zip(picture.rows, picture.pixels, strict=True)] for picture in seen]

    def _answered(self, row: Prediction, probabilities: list[float]) -> Prediction:
        named = dict(zip(self.labels, probabilities, strict=True))
        return replace(row, probabilities=named, min_confidence=self.min_confidence)


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

"""Pictures become faces with expressions: decode, detect, align, classify."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from openfer.bundle.load import DEFAULT, Bundle, load_bundle
from openfer.errors import ConfigError, DataError, ModelError, reason
from openfer.labels import LabelSet
from openfer.predict.sources import Missing
from openfer.records import NO_FACE, OK, UNREADABLE, Box, Face, Prediction
from openfer.runtime import thread_count
from openfer.vision.align import Alignment
from openfer.vision.cut import cut_face
from openfer.vision.detect import DETECT_SIZE, Detector, load_detector
from openfer.vision.image import Picture, as_picture, read_image, to_rgb

ImageLike = str | Path | bytes | Image.Image | NDArray[np.generic] | Missing
Order = Literal["rgb", "bgr"]

CHUNK = 16
"""Photos whose faces are classified together; also what bounds the memory of a long run."""
DETECT_SIZES = (32, 4096)
"""Smallest and largest long side, pixels, at which a picture is searched."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one picture holds, before classification: its rows, and the pixels of those that can be classified."""

    rows: list[Prediction]
    pixels: list[Picture | None]


@dataclass(frozen=True)
class Predictor:
    """A detector and a model, ready for any number of pictures. Safe to use from several threads.

    Args:
        bundle: the model.
        detector: finds the faces; None where every picture is a face already.
        detect_size: the long side, pixels, at which a picture is searched.
        threads: upper bound of threads; None for all that this process may use.
    """

    bundle: Bundle
    detector: Detector | None
    detect_size: int = DETECT_SIZE
    threads: int | None = None

    @classmethod
    def load(
        cls,
        name_or_path: str | Path = DEFAULT,
        *,
        detector: str = "centerface",
        detect_size: int = DETECT_SIZE,
        threads: int | None = None,
    ) -> Predictor:
        """A predictor from a model's name or folder.

        Args:
            name_or_path: `default`, the name of a model in the package, or a bundle's folder.
            detector: a name of `openfer.vision.detect.DETECTORS`; `none` takes every picture as one face.
            detect_size: the long side, pixels, at which a picture is searched: larger finds smaller faces, slower.
            threads: upper bound of threads; None for all that this process may use.

        Raises:
            ConfigError: an unknown detector, a size or a number of threads out of range.
            ModelError: no such model, or one that does not hold what its card says.
        """
        low, high = DETECT_SIZES
        if not low <= detect_size <= high:
            raise ConfigError(f"detect size: expected {low} to {high} px, got {detect_size}")
        thread_count(threads)
        bundle = load_bundle(name_or_path, threads=threads)
        if bundle.card.inputs != ("image",):
            raise ModelError(
                f"{bundle.path}: needs the inputs {', '.join(bundle.card.inputs)}; photos are read for 'image' alone"
            )
        # Photos are searched side by side, one thread each: that keeps all cores busy while others decode.
        return cls(bundle, load_detector(detector, threads=1), detect_size, threads)

    @property
    def labels(self) -> LabelSet:
        """The model's labels, in the order of the probabilities."""
        return self.bundle.card.label_names()

    def predict(self, images: Iterable[ImageLike], *, order: Order = "rgb") -> list[list[Prediction]]:
        """The faces of pictures: one list a picture, largest face first.

        A picture without a face gives one prediction with the status `no_face`, one that cannot be read
        `unreadable: <why>`; no picture raises.

        Args:
            images: paths, files' bytes, PIL images or arrays (uint8 [H, W] or [H, W, 3]).
            order: the order of the arrays' colour channels; OpenCV's are `bgr`.

        Raises:
            ConfigError: a single image where a list of images is expected.
        """
        return list(self.iter_predict(images, order=order))

    def iter_predict(self, images: Iterable[ImageLike], *, order: Order = "rgb") -> Iterator[list[Prediction]]:
        """As `predict`, one picture after the other, for any number of pictures in little memory."""
        single = isinstance(images, str | Path | bytes | Image.Image)
        if single or (isinstance(images, np.ndarray) and images.ndim < 4):
            raise ConfigError("predict: expected a list of images, got one image; write predict([image])")
        if order not in ("rgb", "bgr"):
            raise ConfigError(f"order: expected 'rgb' or 'bgr', got '{order}'")
        return self._stream(iter(images), order)

    def _stream(self, images: Iterator[ImageLike], order: Order) -> Iterator[list[Prediction]]:
        workers = thread_count(self.threads)
        look = partial(
            _look,
            detector=self.detector,
            alignment=self.bundle.card.input.alignment(),
            detect_size=self.detect_size,
            order=order,
        )
        with ThreadPoolExecutor(workers) as pool:
            while chunk := list(islice(images, max(CHUNK, 4 * workers))):
                # Decoding silences Pillow's warnings; this outer block undoes what threads do to the global filters.
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    seen = list(map(look, chunk) if workers == 1 else pool.map(look, chunk))
                yield from self._classify(seen)

    def _classify(self, seen: list[_Seen]) -> Iterator[list[Prediction]]:
        """Add the probabilities to the rows: the faces of all pictures go through the network together."""
        pixels = [cut for picture in seen for cut in picture.pixels if cut is not None]
        answers = iter(self.bundle.probabilities(np.stack(pixels)) if pixels else ())
        names = self.labels.names
        for picture in seen:
            yield [
                row
                if face is None
                else replace(row, probabilities=dict(zip(names, next(answers).tolist(), strict=True)))
                for row, face in zip(picture.rows, picture.pixels, strict=True)
            ]


def analyze(
    image: ImageLike,
    *,
    model: str | Path = DEFAULT,
    detector: str = "centerface",
    detect_size: int = DETECT_SIZE,
    threads: int | None = None,
    order: Order = "rgb",
) -> list[Prediction]:
    """The faces of one picture, largest first. The model stays loaded for the next call.

        for prediction in openfer.analyze("photo.jpg"):
            print(prediction.label, prediction.confidence)

    Args:
        image: a path, a file's bytes, a PIL image or an array (uint8 [H, W] or [H, W, 3]).
        model: see `Predictor.load`, also for `detector`, `detect_size` and `threads`.
        order: the order of an array's colour channels; OpenCV's are `bgr`.

    Returns:
        One prediction a face; a picture without a face, or one that cannot be read, gives one whose status says so.

    Raises:
        ConfigError, ModelError: as `Predictor.load`; no picture raises.
    """
    return _cached(str(model), detector, detect_size, threads).predict([image], order=order)[0]


@lru_cache(maxsize=4)
def _cached(model: str, detector: str, detect_size: int, threads: int | None) -> Predictor:
    return Predictor.load(model, detector=detector, detect_size=detect_size, threads=threads)


def _look(
    image: ImageLike, *, detector: Detector | None, alignment: Alignment, detect_size: int, order: Order
) -> _Seen:
    """Decode one picture, find its faces and cut them. Never raises because of the picture."""
    name = _name(image)
    try:
        picture = _read(image, order)
    except DataError as error:
        return _Seen([Prediction(path=name, status=f"{UNREADABLE}: {error}")], [None])
    if detector is None:
        height, width = picture.shape[:2]
        faces = [Face(box=Box(x=0.0, y=0.0, w=float(width), h=float(height)))]
    else:
        faces = detector.find(picture, detect_size=detect_size)
    if not faces:
        return _Seen([Prediction(path=name, status=NO_FACE)], [None])
    rows, pixels = [], []
    for number, face in enumerate(faces):
        status, cut = OK, None
        try:
            cut = cut_face(picture, alignment, points5=face.points5).pixels
        except DataError as error:
            status = f"{UNREADABLE}: {error}"
        rows.append(Prediction(path=name, face=number, found=face, status=status))
        pixels.append(cut)
    return _Seen(rows, pixels)


def _read(image: ImageLike, order: Order) -> Picture:
    match image:
        case Missing():
            raise DataError(image.why)
        case str() | Path() | bytes():
            return read_image(image)
        case np.ndarray():
            return as_picture(image, order)
        case Image.Image():
            try:
                return to_rgb(ImageOps.exif_transpose(image))
            except (
                OSError,
                SyntaxError,
                ValueError,
                EOFError,
            ) as error:  # Pillow decodes when pixels are first asked for
                raise DataError(reason(error)) from error
        case _:
            raise DataError(f"expected a path, bytes, a PIL image or an array, got {type(image).__name__}")


def _name(image: ImageLike) -> str:
    """What the row calls the picture: always text that can be written as UTF-8."""
    match image:
        case Missing():
            name = image.path
        case str() | Path():
            name = str(image)
        case Image.Image():
            name = str(getattr(image, "filename", "") or "<image>")
        case np.ndarray():
            name = "<array>"
        case _:
            name = f"<{type(image).__name__}>"
    # File systems allow names that are not UTF-8; Python carries them as lone surrogates.
    return name.encode("utf-8", "backslashreplace").decode("utf-8")

"""A folder of overlays: each photo with its faces marked, under a name of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import chain, count
from pathlib import Path

from PIL import Image

from openfer.errors import DataError
from openfer.files import remove_leftovers, replacing
from openfer.predict.look import name_of
from openfer.predict.overlay import draw
from openfer.predict.sources import Missing, Source
from openfer.records import Prediction
from openfer.vision.image import MAX_PIXELS, read_image

JPEG = (".jpg", ".jpeg")
JPEG_SIDE = 65_500
"""Pixels; no JPEG is longer. A longer overlay holds a PNG whatever its name: viewers look at the content."""
LETTERS, BYTES = 40, 90
"""Most of a photo's name, and of its folder's, that an overlay's name repeats; file systems allow 255 bytes in all."""


class OverlayFolder:
    """Writes overlays into one folder; photos of the same name in different folders get different names.

    Args:
        folder: made if missing.
        max_pixels: larger photos get no overlay.

    Raises:
        DataError: the folder cannot be made.
    """

    def __init__(self, folder: Path, *, max_pixels: int = MAX_PIXELS) -> None:
        self.folder, self._max_pixels = folder, max_pixels
        self._used: set[str] = set()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"{folder}: cannot be made into a folder ({error.strerror or error})") from error
        remove_leftovers(folder, "*-faces.*")

    def write(self, photo: Source, predictions: Sequence[Prediction]) -> Path | None:
        """Draw one photo: a JPEG stays a JPEG, anything else becomes a PNG.

        Returns:
            The overlay's path; None for a photo that cannot be read.

        Raises:
            DataError: the overlay cannot be written.
        """
        target = self.folder / self.reserve(name_of(photo))
        if isinstance(photo, Missing) or any(row.failed and row.found is None for row in predictions):
            return None
        try:
            overlay = Image.fromarray(draw(read_image(photo, max_pixels=self._max_pixels), predictions))
        except DataError:  # gone since it was read
            return None
        data = BytesIO()
        if target.suffix in JPEG and max(overlay.size) <= JPEG_SIDE:
            overlay.save(data, format="JPEG", quality=92, subsampling=0)
        else:
            overlay.save(data, format="PNG")
        with replacing(target) as beside:
            beside.write_bytes(data.getbuffer())
        return target

    def reserve(self, name: str) -> str:
        """The name of a photo's overlay: depends on the photos before it alone, whether these could be read or not.

        Args:
            name: the photo, as its rows call it.
        """
        photo = Path(name)
        # Never the photo's own name: in its own folder the overlay would replace it.
        ending = f"-faces{'.jpg' if photo.suffix.lower() in JPEG else '.png'}"
        stem, parent = _short(photo.stem), _short(photo.parent.name)
        for free in chain((stem, f"{parent}-{stem}"), _numbered(stem)):
            if f"{free}{ending}".casefold() not in self._used:
                self._used.add(f"{free}{ending}".casefold())
                return f"{free}{ending}"
        raise AssertionError("numbers do not end")


def _short(name: str) -> str:
    return name[:LETTERS].encode()[:BYTES].decode("utf-8", "ignore")


def _numbered(stem: str) -> Iterator[str]:
    return (f"{stem}-{number}" for number in count(2))

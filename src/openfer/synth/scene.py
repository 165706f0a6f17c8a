"""What varies between two pictures of one face: pose, framing, light, background and the photograph itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from openfer.synth.camera import Camera, Pose
from openfer.synth.light import Light
from openfer.synth.noise import sample
from openfer.vision.image import Picture

Floats = NDArray[np.floating]


@dataclass(frozen=True, slots=True, kw_only=True)
class Photograph:
    """What camera and file do to a picture.

    Args:
        blur: standard deviation, shares of the side.
        noise: standard deviation, grey levels of 255.
        exposure: factor on the light.
        tint: factors on red, green and blue.
        quality: of the JPEG file, 1 to 95.
    """

    blur: float = 0.0
    noise: float = 0.0
    exposure: float = 1.0
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    quality: int = 92


STUDIO = Light(
    direction=(-0.42, -0.46, 0.782),
    colour=(1.0, 0.98, 0.95),
    sky=(0.34, 0.35, 0.37),
    ground=(0.16, 0.14, 0.13),
    rim=0.1,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Everything about a picture but the person and the expression.

    Args:
        gaze: where the eyes look relative to the head, degrees right and down.
        background: `plain` is one soft gradient, `busy` has shapes and textures, `studio` is grey.
        seed: of background and noise.
    """

    pose: Pose = field(default_factory=Pose)
    camera: Camera = field(default_factory=lambda: Camera(face=0.27))
    light: Light = STUDIO
    gaze: tuple[float, float] = (0.0, 0.0)
    background: Literal["plain", "busy", "studio"] = "plain"
    photograph: Photograph = field(default_factory=Photograph)
    seed: int = 0


def draw_scene(rng: np.random.Generator, *, max_yaw: float = 35.0, background: str | None = None) -> Scene:
    """A scene at random; most heads are turned little.

    Args:
        rng: source of chance.
        max_yaw: degrees; pitch stays within half of it, roll within 0.4.
        background: `plain` or `busy`; None for either.
    """
    angles = np.clip(rng.normal(0, 0.42, 3), -1, 1) * max_yaw * np.array([1.0, 0.5, 0.4])
    side, height = rng.uniform(-0.75, 0.75), rng.uniform(-0.75, 0.05)
    direction = np.array([side, height, 0.85])
    direction /= np.linalg.norm(direction)
    warmth, contrast = rng.normal(0, 0.07), rng.uniform(0.7, 1.2)
    fill = (1.25 - contrast) * 0.42 + 0.08
    gazed = np.clip(rng.normal(0, 4, 2), -10, 10)
    return Scene(
        pose=Pose(yaw=float(angles[0]), pitch=float(angles[1]), roll=float(angles[2])),
        camera=Camera(
            face=float(rng.uniform(0.30, 0.375)),
            x=float(0.5 + np.clip(rng.normal(0, 0.025), -0.06, 0.06)),
            y=float(0.48 + np.clip(rng.normal(0, 0.025), -0.06, 0.06)),
            distance=float(np.exp(rng.uniform(np.log(650), np.log(3000)))),
        ),
        light=Light(
            direction=(float(direction[0]), float(direction[1]), float(direction[2])),
            colour=(contrast * float(1 + warmth), contrast, contrast * float(1 - 1.2 * warmth)),
            sky=(fill, 1.02 * fill, 1.08 * fill),
            ground=(0.55 * fill, 0.50 * fill, 0.46 * fill),
            rim=float(max(0.0, rng.normal(0, 0.25))),
        ),
        gaze=(float(gazed[0] - 0.6 * angles[0]), float(0.5 * gazed[1] - 0.6 * angles[1])),
        background=("plain", "busy")[int(rng.uniform() < 0.55)] if background is None else background,  # type: ignore[arg-type]
        photograph=Photograph(
            blur=float(rng.uniform(0.0, 0.0045)),
            noise=float(rng.uniform(0.5, 5.0)),
            exposure=float(np.exp(rng.normal(0.12, 0.14))),
            tint=(float(1 + rng.normal(0, 0.02)), 1.0, float(1 + rng.normal(0, 0.03))),
            quality=int(rng.integers(72, 96)),
        ),
        seed=int(rng.integers(2**62)),
    )


def draw_background(kind: str, size: int, rng: np.random.Generator) -> Picture:
    """A background without a face, uint8 [size, size, 3], sRGB."""
    if kind == "studio":
        return np.full((size, size, 3), 184, dtype=np.uint8)
    # Rooms and skies are not as colourful as chance.
    grey, hue = rng.uniform(30, 225), rng.normal(0, 8, 3)
    corners = grey + hue + rng.normal(0, 22, (4, 1)) + rng.normal(0, 5, (4, 3))
    if kind == "plain":
        corners = corners.mean(0) + 0.45 * (corners - corners.mean(0))
    small = Image.fromarray(np.clip(corners, 0, 255).astype(np.uint8).reshape(2, 2, 3))
    image = small.resize((size, size), Image.Resampling.BICUBIC)
    if kind == "busy":
        _scatter(image, size, rng)
        image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.006, 0.03)) * size))
        places = np.arange(size) * 60 / size + rng.uniform(0, 256, (2, 1))
        grain = sample("soft", *np.meshgrid(*places, indexing="ij"))
        return np.clip(np.asarray(image) + np.round(9 * grain)[:, :, None], 0, 255).astype(np.uint8)
    return np.asarray(image)


def _scatter(image: Image.Image, size: int, rng: np.random.Generator) -> None:
    """Shelves, posts, boxes, discs and lines."""
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(8, 26))):
        kind, colour = rng.integers(5), _muted(rng)
        (x, y), (w, h) = rng.uniform(-0.2, 1.1, 2) * size, rng.uniform(0.04, 0.5, 2) * size
        if kind == 0:
            draw.rectangle((x, y, x + w, y + h), fill=colour)
        elif kind == 1:
            draw.ellipse((x, y, x + 0.6 * w, y + 0.6 * w), fill=colour)
        elif kind == 2:
            draw.line((x, y, x + 2 * w, y + 2 * h - size * 0.5), fill=colour, width=max(1, int(0.012 * size)))
        elif kind == 3:  # a shelf or a blind
            for step in range(int(rng.integers(3, 8))):
                top = y + step * 0.07 * size
                draw.rectangle((x, top, x + 1.5 * w, top + 0.03 * size), fill=colour)
        else:  # leaves
            spots = rng.normal((x, y), 0.09 * size, (12, 2))
            for sx, sy in spots.tolist():
                draw.ellipse((sx, sy, sx + 0.05 * size, sy + 0.03 * size), fill=colour)


def _muted(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = np.clip(rng.uniform(15, 240) + rng.normal(0, 14, 3), 5, 250).astype(int).tolist()
    return red, green, blue


def take_photograph(linear: Floats, photograph: Photograph, size: int, rng: np.random.Generator) -> Picture:
    """Linear light [side, side, 3] as a picture of `size` px: exposure, tone, optics, shrinking, noise."""
    gain = (1024 * photograph.exposure * np.array(photograph.tint)).astype(np.float32)
    image = Image.fromarray(_TONES[np.clip(linear * gain + 0.5, 0, len(_TONES) - 1).astype(np.int32)])
    radius = photograph.blur * image.width
    if radius > 0.3:
        image = image.filter(ImageFilter.GaussianBlur(radius))
    if image.width != size:
        image = image.resize(
            (size, size), Image.Resampling.BOX if image.width % size == 0 else Image.Resampling.HAMMING
        )
    pixels: Floats = np.asarray(image, dtype=np.float32)
    if photograph.noise > 0:
        grain = rng.standard_normal((size, size, 4), dtype=np.float32)
        pixels = pixels + photograph.noise * (0.8 * grain[:, :, :1] + 0.45 * grain[:, :, 1:])
    picture: Picture = np.clip(np.round(pixels), 0, 255).astype(np.uint8)
    return picture


def _tone_table() -> NDArray[np.uint8]:
    """Grey levels of light in steps of 1/1024, up to 4: gamma 2.2, and a soft shoulder that keeps highlights."""
    light = np.arange(4096) / 1024
    toned = np.where(light > 0.7, 0.7 + 0.3 * np.tanh((light - 0.7) / 0.3), light)
    return np.round(255 * toned ** (1 / 2.2)).astype(np.uint8)


_TONES = _tone_table()

"""One face as a picture, with its truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from openfer.errors import ConfigError
from openfer.synth.action_units import ActionUnits
from openfer.synth.camera import Camera, Pose, turn
from openfer.synth.eyes import paint_eye, shape_eye
from openfer.synth.fields import rise
from openfer.synth.glasses import glasses_mesh, paint_glasses
from openfer.synth.hair import covering_mesh, hair_cover, hair_mesh, paint_hair
from openfer.synth.head import Mesh, body_mesh, directions, ear_mesh, face_mesh, normals, openness
from openfer.synth.identity import Identity
from openfer.synth.light import shade, slopes
from openfer.synth.mouth import paint_mouth, shape_mouth
from openfer.synth.paint import Paint, linear
from openfer.synth.raster import grid_triangles, rasterize
from openfer.synth.scene import Scene, draw_background, take_photograph
from openfer.synth.skin import paint_ear, paint_neck, paint_skin
from openfer.synth.streams import PHOTOGRAPH, stream
from openfer.synth.truth import Truth, landmarks_3d, outline_3d
from openfer.vision.image import Picture

Floats = NDArray[np.floating]

FACE, BODY, EAR, HAIR, GLASSES = range(5)
REST = ActionUnits.of({})
STUDIO_SCENE = Scene(camera=Camera(face=0.36, y=0.45, distance=1000), background="studio")


@dataclass(frozen=True, slots=True)
class Rendering:
    """A picture, uint8 [size, size, 3] RGB, and what is true of it."""

    picture: Picture
    truth: Truth


@dataclass(frozen=True, slots=True)
class _Seen:
    """A mesh's visible pixels and what the meshes' vertices know, interpolated."""

    pixel: NDArray[np.int64]
    depth: Floats
    part: NDArray[np.int64]
    rest: NDArray[np.float32]
    place: NDArray[np.float32]
    normal: NDArray[np.float32]
    tangent: NDArray[np.float32]
    angle: NDArray[np.float32]
    open: NDArray[np.float32]


def render(
    identity: Identity,
    aus: ActionUnits | Mapping[int, float] = REST,
    pose: Pose | None = None,
    *,
    scene: Scene = STUDIO_SCENE,
    size: int = 160,
) -> Rendering:
    """Draw a face.

    Args:
        identity: who, such as `draw_identity(seed, number)`.
        aus: what the face does; intensities 0 to 1 by AU number, or `ActionUnits` where the two halves differ.
        pose: how the head is turned; None for the scene's own pose.
        scene: camera, light, background and photograph.
        size: side of the picture, 32 to 1024 px.

    Raises:
        ConfigError: the size, an AU or an intensity is out of its range.
    """
    if not isinstance(aus, ActionUnits):
        aus = ActionUnits.of(aus)
    if pose is not None:
        scene = replace(scene, pose=pose)
    person = identity
    if not 32 <= size <= 1024:
        raise ConfigError(f"synth: expected size from 32 to 1024, got {size}")
    side = _fine(size)
    mouth = shape_mouth(person.body, aus)
    eyes = shape_eye(person.body, aus, -1, person.eye_tilt), shape_eye(person.body, aus, 1, person.eye_tilt)
    mm = 100 / (scene.camera.face * side)  # of a pixel, at the face's depth
    view = scene.pose.matrix().T @ np.array([0.0, 0.0, 1.0])

    rng = stream(scene.seed, PHOTOGRAPH, 0)
    background = Image.fromarray(draw_background(scene.background, size, rng))
    canvas = linear(np.arange(256.0))[np.asarray(background.resize((side, side))).reshape(-1, 3)]
    meshes = [(FACE, face_mesh(person.head, aus)), (BODY, body_mesh(person.head, person.maleness))]
    if person.covering.kind != "scarf" and person.hair.cut not in ("bob", "long"):
        meshes += [(EAR, ear_mesh(person.head, ear, person.ear_size)) for ear in (-1, 1)]
    solid = _see(_project(meshes, scene, side), side)
    paint = Paint.blank(len(solid.pixel))
    for part, painter in ((BODY, paint_neck), (EAR, paint_ear)):
        where = np.flatnonzero(solid.part == part)
        _into(paint, where, lambda piece, w=where, p=painter: p(piece, solid.rest[w], person))  # type: ignore[misc]
    face = np.flatnonzero(solid.part == FACE)

    def paint_face(piece: Paint) -> None:
        paint_skin(piece, solid.rest[face], person, aus, mouth)
        for eye in eyes:
            paint_eye(piece, solid.place[face], view, person, eye, scene.gaze, mm)
        paint_mouth(piece, solid.place[face], view, person, mouth, mm)
        if person.covering.kind == "none" and person.hair.cut != "none":
            _paint_scalp(piece, solid, face, person)

    _into(paint, face, paint_face)
    scatter = np.where(solid.part == BODY, 0.5, 1.0)[:, None].astype(np.float32)
    slope = slopes(paint.height, solid.pixel, side, mm)
    canvas[solid.pixel] = shade(paint, solid.normal, solid.open, slope, scene.light, scatter=scatter)
    nearest = np.full(side * side, -np.inf)
    nearest[solid.pixel] = solid.depth
    _add_hair(canvas, nearest, person, scene, side, mm, mouth.drop)
    if person.glasses:
        _add_glasses(canvas, nearest, person, scene, side, mm)
    picture = take_photograph(canvas.reshape(side, side, 3), scene.photograph, size, rng)

    points = scene.camera.project(turn(landmarks_3d(person, aus, eyes, mouth), scene.pose), size)[:, :2]
    outline = scene.camera.project(turn(outline_3d(person, aus), scene.pose), size)[:, :2]
    low, extent = outline.min(0), np.ptp(outline, axis=0)
    pose = scene.pose
    box = float(low[0]), float(low[1]), float(extent[0]), float(extent[1])
    return Rendering(picture, Truth(landmarks=points, yaw=pose.yaw, pitch=pose.pitch, roll=pose.roll, box=box))


def _fine(size: int) -> int:
    """Side of the picture that is drawn and then shrunk: small faces need finer edges."""
    return 2 * size if size <= 64 else int(1.5 * size + 0.5)


@dataclass(frozen=True, slots=True)
class _Projected:
    """Meshes together, ready to be rasterised."""

    points: Floats
    triangles: NDArray[np.int64]
    facts: NDArray[np.float32]  # what `_Seen` interpolates, in its order
    parts: NDArray[np.int64]


def _project(meshes: list[tuple[int, Mesh]], scene: Scene, side: int) -> _Projected:
    points, triangles, facts, parts, start = [], [], [], [], 0
    for part, mesh in meshes:
        share = rise(150.0, 60.0, mesh.place[:, 1]) if part in (BODY, HAIR) else 1.0
        turned = turn(mesh.place, scene.pose, share)
        normal = normals(mesh, turned)
        tangent = directions(mesh, turned) if part == HAIR else normal
        open_to_sky = openness(mesh)
        facts.append(np.column_stack([mesh.rest, mesh.place, normal, tangent, mesh.angle, open_to_sky]))
        points.append(scene.camera.project(turned, side))
        triangles.append(grid_triangles(mesh.rows, mesh.columns) + start)
        parts.append(np.full(len(turned), part))
        start += len(turned)
    return _Projected(
        np.concatenate(points),
        np.concatenate(triangles),
        np.concatenate(facts, dtype=np.float32),
        np.concatenate(parts),
    )


def _see(meshes: _Projected, side: int, *, both_sides: bool = False, from_inside: bool = False) -> _Seen:
    hits = rasterize(meshes.points, meshes.triangles, side, both_sides=both_sides, from_inside=from_inside)
    known = hits.interpolate(meshes.facts)
    normal = known[:, 6:9]
    normal = normal / np.maximum(np.sqrt((normal**2).sum(1, keepdims=True)), 1e-6)
    if both_sides or from_inside:
        normal = normal * np.where(normal[:, 2:] < 0, -1, 1)
    return _Seen(
        hits.pixel, hits.depth, meshes.parts[hits.corners[:, 0]], known[:, :3], known[:, 3:6], normal,
        known[:, 9:12], known[:, 12], np.clip(known[:, 13], 0, 1),
    )  # fmt: skip


def _into(paint: Paint, where: NDArray[np.int64], painter: Callable[[Paint], None]) -> None:
    """Paint a part of the pixels as if they were all."""
    if not len(where):
        return
    piece = Paint.blank(len(where))
    painter(piece)
    paint.colour[where], paint.height[where] = piece.colour, piece.height
    paint.gloss[where], paint.shine[where] = piece.gloss, piece.shine


def _paint_scalp(piece: Paint, solid: _Seen, face: NDArray[np.int64], person: Identity) -> None:
    """Below the hair the skull is dark, so that gaps between strands are."""
    under = hair_cover(solid.rest[face], solid.angle[face], person, 0.0) * rise(8.0, -12.0, solid.rest[face, 1])
    where = np.flatnonzero(under > 0.01)
    piece.cover(where, 0.85 * under[where], 0.6 * person.hair_colour)


def _add_hair(
    canvas: NDArray[np.floating], nearest: Floats, person: Identity, scene: Scene, side: int, mm: float, drop: float
) -> None:
    covered = person.covering.kind != "none"
    if not covered and person.hair.cut == "none":
        return
    mesh = covering_mesh(person.head, person.covering.kind, drop) if covered else hair_mesh(person.head, person.hair)
    projected = _project([(HAIR, mesh)], scene, side)
    # What hangs or stands off is seen from inside as well: behind the neck, beyond the far cheek.
    loose = covered or person.hair.cut in ("bob", "long") or abs(scene.pose.yaw) > 8
    for inside in (True, False) if loose else (False,):
        seen = _see(projected, side, from_inside=inside)
        cover = hair_cover(seen.rest, seen.angle, person, drop)
        chosen = np.flatnonzero((cover > 0.02) & (seen.depth > nearest[seen.pixel]))
        if not len(chosen):
            continue
        paint = Paint.blank(len(chosen))
        paint_hair(paint, seen.rest[chosen], seen.angle[chosen], person)
        if inside:
            paint.colour[:] *= 0.45
        pixel = seen.pixel[chosen]
        colour = shade(
            paint, seen.normal[chosen], seen.open[chosen], slopes(paint.height, pixel, side, mm), scene.light,
            scatter=0.6, tangent=None if covered else seen.tangent[chosen],
        )  # fmt: skip
        canvas[pixel] += cover[chosen, None] * (colour - canvas[pixel])
        solid = cover[chosen] > 0.5
        nearest[pixel[solid]] = seen.depth[chosen][solid]


def _add_glasses(
    canvas: NDArray[np.floating], nearest: Floats, person: Identity, scene: Scene, side: int, mm: float
) -> None:
    seen = _see(_project([(GLASSES, mesh) for mesh in glasses_mesh(person)], scene, side), side, both_sides=True)
    chosen = np.flatnonzero(seen.depth > nearest[seen.pixel])
    paint = Paint.blank(len(chosen))
    paint_glasses(paint, person)
    none = np.zeros(len(chosen), np.float32)
    colour = shade(paint, seen.normal[chosen], none + 1, (none, none), scene.light, scatter=0.0)
    canvas[seen.pixel[chosen]] += 0.9 * (colour - canvas[seen.pixel[chosen]])

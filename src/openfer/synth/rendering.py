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
from openfer.synth.eyes import Eye, paint_eye, shape_eye
from openfer.synth.fields import rise
from openfer.synth.glasses import glasses_mesh, paint_glasses
from openfer.synth.hair import covering_mesh, hair_cover, hair_mesh, paint_hair, rooted_cover
from openfer.synth.head import Mesh, body_mesh, directions, ear_mesh, face_mesh, normals, openness
from openfer.synth.identity import Identity
from openfer.synth.light import shade, slopes
from openfer.synth.mouth import Mouth, paint_mouth, shape_mouth
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
    if not 32 <= size <= 1024:
        raise ConfigError(f"synth: expected size from 32 to 1024, got {size}")
    face = _shape(identity, aus)
    side = _fine(size)
    rng = stream(scene.seed, PHOTOGRAPH, 0)
    background = Image.fromarray(draw_background(scene.background, size, rng)).resize((side, side))
    canvas = linear(np.arange(256.0))[np.asarray(background).reshape(-1, 3)]
    nearest = np.full(side * side, -np.inf)
    for draw in (_draw_skin, _draw_hair, _draw_glasses):
        draw(canvas, nearest, face, scene, side)
    picture = take_photograph(canvas.reshape(side, side, 3), scene.photograph, size, rng)
    return Rendering(picture, _truth(face, scene, size))


@dataclass(frozen=True, slots=True)
class _Face:
    """A person who does something."""

    person: Identity
    aus: ActionUnits
    eyes: tuple[Eye, Eye]
    mouth: Mouth


def _shape(person: Identity, aus: ActionUnits) -> _Face:
    left, right = (shape_eye(person.body, aus, side, person.eye_tilt) for side in (-1, 1))
    return _Face(person, aus, (left, right), shape_mouth(person.body, aus))


def _truth(face: _Face, scene: Scene, size: int) -> Truth:
    def seen(points: Floats) -> Floats:
        return scene.camera.project(turn(points, scene.pose), size)[:, :2]

    outline = seen(outline_3d(face.person, face.aus))
    low, extent = outline.min(0), np.ptp(outline, axis=0)
    return Truth(
        landmarks=seen(landmarks_3d(face.person, face.aus, face.eyes, face.mouth)),
        yaw=scene.pose.yaw,
        pitch=scene.pose.pitch,
        roll=scene.pose.roll,
        box=(float(low[0]), float(low[1]), float(extent[0]), float(extent[1])),
    )


def _draw_skin(canvas: Floats, nearest: Floats, face: _Face, scene: Scene, side: int) -> None:
    """Head, ears, neck and garment."""
    person = face.person
    bare = person.covering.kind == "none"
    meshes = [(FACE, face_mesh(person.head, face.aus)), (BODY, body_mesh(person.head, person.maleness))]
    if person.covering.kind == "beanie" or (bare and person.hair.cut not in ("bob", "long")):
        meshes += [(EAR, ear_mesh(person.head, ear, person.ear_size)) for ear in (-1, 1)]
    seen = _see(_project(meshes, scene, side), side)
    paint = Paint.blank(len(seen.pixel))

    def paint_face(piece: Paint, where: NDArray[np.int64]) -> None:
        rest, place = seen.rest[where], seen.place[where]
        view = scene.pose.matrix().T @ np.array([0.0, 0.0, 1.0])
        detail = _millimetres(scene, side)
        paint_skin(piece, rest, person, face.aus, face.mouth)
        for eye in face.eyes:
            paint_eye(piece, place, view, person, eye, scene.gaze, detail)
        paint_mouth(piece, place, view, person, face.mouth, detail)
        if person.covering.kind != "scarf" and person.hair.cut != "none":
            _paint_scalp(piece, rest, seen.angle[where], person)

    painters: dict[int, Callable[[Paint, NDArray[np.int64]], None]] = {
        FACE: paint_face,
        BODY: lambda piece, where: paint_neck(piece, seen.rest[where], person),
        EAR: lambda piece, where: paint_ear(piece, seen.rest[where], person),
    }
    for part, painter in painters.items():
        where = np.flatnonzero(seen.part == part)
        if len(where):
            piece = Paint.blank(len(where))
            painter(piece, where)
            paint.put(where, piece)
    scatter = np.where(seen.part == BODY, 0.5, 1.0)[:, None].astype(np.float32)
    slope = slopes(paint.height, seen.pixel, side, _millimetres(scene, side))
    canvas[seen.pixel] = shade(paint, seen.normal, seen.open, slope, scene.light, scatter=scatter)
    nearest[seen.pixel] = seen.depth


def _fine(size: int) -> int:
    """Side of the picture that is drawn and then shrunk: small faces need finer edges."""
    return 2 * size if size <= 64 else int(1.5 * size + 0.5)


def _millimetres(scene: Scene, side: int) -> float:
    """Size of a pixel at the face's depth."""
    return 100 / (scene.camera.face * side)


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


def _see(
    meshes: _Projected,
    side: int,
    *,
    both_sides: bool = False,
    from_inside: bool = False,
    nearest: Floats | None = None,
) -> _Seen:
    """The pixels that show the meshes; with `nearest` only where they are in front of what is drawn already."""
    hits = rasterize(meshes.points, meshes.triangles, side, both_sides=both_sides, from_inside=from_inside)
    if nearest is not None:
        hits = hits.at(np.flatnonzero(hits.depth > nearest[hits.pixel]))
    known = hits.interpolate(meshes.facts)
    normal = known[:, 6:9]
    normal = normal / np.maximum(np.sqrt((normal**2).sum(1, keepdims=True)), 1e-6)
    if both_sides or from_inside:
        normal = normal * np.where(normal[:, 2:] < 0, -1, 1)
    return _Seen(
        hits.pixel, hits.depth, meshes.parts[hits.corners[:, 0]], known[:, :3], known[:, 3:6], normal,
        known[:, 9:12], known[:, 12], np.clip(known[:, 13], 0, 1),
    )  # fmt: skip


def _paint_scalp(piece: Paint, rest: NDArray[np.floating], angle: NDArray[np.floating], person: Identity) -> None:
    """Below the hair the skull is dark, so that gaps between strands are."""
    under = rooted_cover(rest, angle, person) * rise(8.0, -12.0, rest[:, 1])
    where = np.flatnonzero(under > 0.01)
    piece.cover(where, 0.85 * under[where], 0.6 * person.hair_colour)


def _draw_hair(canvas: Floats, nearest: Floats, face: _Face, scene: Scene, side: int) -> None:
    """Hair, or what is worn over it."""
    person, drop = face.person, face.mouth.drop
    covered = person.covering.kind != "none"
    if not covered and person.hair.cut == "none":
        return
    mesh = covering_mesh(person.head, person.covering.kind, drop) if covered else hair_mesh(person.head, person.hair)
    projected = _project([(HAIR, mesh)], scene, side)
    # What hangs or stands off is seen from inside as well: behind the neck, beyond the far cheek.
    loose = covered or person.hair.cut in ("bob", "long") or abs(scene.pose.yaw) > 8
    for inside in (True, False) if loose else (False,):
        seen = _see(projected, side, from_inside=inside, nearest=nearest)
        cover = hair_cover(seen.rest, seen.angle, person, drop)
        chosen = np.flatnonzero(cover > 0.02)
        paint = Paint.blank(len(chosen))
        paint_hair(paint, seen.rest[chosen], seen.angle[chosen], person)
        if inside:
            paint.colour[:] *= 0.45
        pixel, amount = seen.pixel[chosen], cover[chosen, None]
        slope = slopes(paint.height, pixel, side, _millimetres(scene, side))
        tangent = None if covered else seen.tangent[chosen]
        colour = shade(paint, seen.normal[chosen], seen.open[chosen], slope, scene.light, scatter=0.6, tangent=tangent)
        canvas[pixel] += amount * (colour - canvas[pixel])
        solid = cover[chosen] > 0.5
        nearest[pixel[solid]] = seen.depth[chosen][solid]


def _draw_glasses(canvas: Floats, nearest: Floats, face: _Face, scene: Scene, side: int) -> None:
    person = face.person
    if not person.glasses:
        return
    seen = _see(_project([(GLASSES, mesh) for mesh in glasses_mesh(person)], scene, side), side, both_sides=True)
    chosen = np.flatnonzero(seen.depth > nearest[seen.pixel])
    paint = Paint.blank(len(chosen))
    paint_glasses(paint, person)
    none = np.zeros(len(chosen), np.float32)
    colour = shade(paint, seen.normal[chosen], none + 1, (none, none), scene.light, scatter=0.0)
    canvas[seen.pixel[chosen]] += 0.9 * (colour - canvas[seen.pixel[chosen]])

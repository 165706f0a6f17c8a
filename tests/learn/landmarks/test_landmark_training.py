"""The teacher's labels, what the network is asked for, and a training that a kill does not change."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from openfer.errors import ConfigError
from openfer.learn.checkpoint import LAST
from openfer.learn.landmarks import train as training
from openfer.learn.landmarks.export import PARITY, export
from openfer.learn.landmarks.faces import AROUND, FRAME, SIDE, Faces, known, label_frames
from openfer.learn.landmarks.judge import judge
from openfer.learn.landmarks.loss import distances, losses, trust
from openfer.learn.landmarks.network import LandmarkNet
from openfer.learn.landmarks.recipe import LandmarkRecipe, load_landmark_recipe
from openfer.learn.landmarks.teacher import Teacher, flip_error
from openfer.synth.sets import draw_set
from openfer.vision.landmarks import MIRROR, SIZE, Landmarker

RECIPES = Path(__file__).parents[3] / "recipes"
TINY = """
data: {manifest: nothing.parquet, teacher: nothing.onnx, generated: 0, nonfaces: 0.25, holdout: 0.2}
optim: {lr: 1e-3, steps: 6, batch: 8}
run: {seed: 3, ema: 0.5, checkpoint: 1000, precision: fp32}
"""


@pytest.fixture
def teacher(tmp_path: Path) -> Teacher:
    """A mesh that is the same wherever it looks, in the form of FaceMesh."""
    mesh = np.random.default_rng(0).uniform(40, 150, (1, 468, 3)).astype(np.float32)
    mesh[0, 33, :2], mesh[0, 263, :2] = (60, 80), (130, 80)
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["level"], axes=[1, 2], keepdims=0),
        helper.make_node("ReduceMean", ["level"], ["one"], axes=[1], keepdims=1),
        helper.make_node("Mul", ["one", "nought"], ["nothing"]),
        helper.make_node("Unsqueeze", ["nothing", "last"], ["wide"]),
        helper.make_node("Add", ["wide", "mesh"], ["landmarks"]),
    ]
    graph = helper.make_graph(
        nodes,
        "teacher",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, 192, 192])],
        [helper.make_tensor_value_info("landmarks", TensorProto.FLOAT, ["n", 468, 3])],
        [
            numpy_helper.from_array(np.zeros(1, dtype=np.float32), "nought"),
            numpy_helper.from_array(np.array([2]), "last"),
            numpy_helper.from_array(mesh, "mesh"),
        ],
    )
    path = tmp_path / "teacher.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return Teacher(path)


def random_faces(count: int, seed: int = 0) -> Faces:
    rng = np.random.default_rng(seed)
    return Faces(
        pictures=rng.integers(0, 256, (count, SIDE, SIDE), dtype=np.uint8),
        answers=rng.uniform(20, 50, (count, 2, 68, 2)).astype(np.float32),
        splits=np.array(["train"] * count),
    )


def test_the_teachers_second_answer_is_that_of_the_mirror_image(teacher: Teacher) -> None:
    frames = np.random.default_rng(1).integers(0, 256, (3, FRAME, FRAME), dtype=np.uint8)
    points, mirrored = teacher.answer(frames)
    assert points.shape == (3, 68, 2)
    np.testing.assert_allclose(mirrored, np.stack([FRAME - points[:, MIRROR, 0], points[:, MIRROR, 1]], axis=-1))
    # Level eyes and a second square 1.5 times as large as the mesh: a mesh that fills a part of its square fills as
    # much of the picture again.
    faces = label_frames(frames, ["train"] * 3, teacher)
    np.testing.assert_allclose(faces.points, (points + mirrored) / 2 + AROUND, atol=1e-3)
    assert faces.pictures.shape == (3, SIDE, SIDE)


def test_the_flip_error_is_a_share_of_the_outer_eye_distance() -> None:
    points = np.zeros((1, 68, 2))
    points[0, 45] = (20, 0)
    assert flip_error(points, points + np.array([0, 1])) == pytest.approx([0.05])


def test_known_points_stay_on_their_features() -> None:
    drawn = draw_set(3, 5, size=96)
    faces = known(drawn)
    assert (faces.flip_errors == 0).all()
    # In FER2013's frame eyes and mouth stand in the middle, whatever the picture was.
    eyes, mouth = faces.points[:, 36:48].mean((0, 1)) - AROUND, faces.points[:, 48:68].mean((0, 1)) - AROUND
    assert eyes == pytest.approx((23.75, 19.4), abs=2)
    assert mouth == pytest.approx((23.75, 37), abs=3)


def test_faces_are_kept_exactly(tmp_path: Path) -> None:
    faces = random_faces(4)
    faces.save(tmp_path / "faces.npz")
    again = Faces.load(tmp_path / "faces.npz")
    np.testing.assert_array_equal(again.answers, faces.answers)
    assert again.hashes == faces.hashes
    assert again.splits.tolist() == faces.splits.tolist()


def test_labels_count_as_far_as_they_are_trusted() -> None:
    assert trust(torch.tensor([0.0, 0.03, 0.0999, 0.11])).tolist() == pytest.approx([1, 0.5, 0.231, 0], abs=1e-3)


def test_bad_fits_and_what_is_no_face_do_not_move_points() -> None:
    generator = torch.Generator().manual_seed(0)
    points, labels = (torch.rand(3, 68, 2, generator=generator) for _ in range(2))
    errors, flips = torch.zeros(3, 68), torch.zeros(3)
    for value in (points, errors, flips):
        value.requires_grad_()
    terms = losses(points, errors, flips, labels, torch.tensor([0.02, 0.2, 1.0]), torch.tensor([True, True, False]))
    sum(terms.values()).backward()  # type: ignore[union-attr]
    assert points.grad is not None
    assert errors.grad is not None
    assert flips.grad is not None
    assert points.grad[0].abs().min() > 0
    assert points.grad[1:].abs().max() == 0
    assert errors.grad[1:].abs().max() == 0
    assert (flips.grad != 0).tolist() == [True, True, False]  # log 1 = 0 is what the third was asked for


def test_distances_are_in_outer_eye_distances() -> None:
    labels = torch.zeros(1, 68, 2)
    labels[0, 45, 0] = 0.5
    assert distances(labels + torch.tensor([0.03, 0.04]), labels) == pytest.approx(np.full((1, 68), 0.1), abs=1e-3)


def run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, stop: bool = False, recipe: str = TINY
) -> dict[str, torch.Tensor]:
    for name, value in (("NONFACES", 12), ("NONFACES_JUDGE", 4), ("JUDGE_EVERY", 2)):
        monkeypatch.setattr(training, name, value)
    folder.mkdir(exist_ok=True)
    (folder / "own.yaml").write_text(recipe)
    random_faces(40).save(folder / training.LABELLED)

    def say(line: str) -> None:
        if stop and line.startswith("step 4"):
            raise KeyboardInterrupt

    return training.train(load_landmark_recipe(folder / "own.yaml"), folder, say=say).state_dict()


def test_a_run_that_was_stopped_goes_on_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(tmp_path / "a", monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "b", monkeypatch, stop=True)
    resumed = run(tmp_path / "b", monkeypatch)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    log = (tmp_path / "b" / training.LOG).read_text().splitlines()
    assert [line.split(",")[0] for line in log] == ["step", "2", "4", "6"]


def test_a_second_part_begins_with_the_weights_of_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(tmp_path / "a", monkeypatch)
    still = TINY.replace("lr: 1e-3", "lr: 1e-9").replace("seed: 3", f"seed: 3, init: {tmp_path / 'a' / LAST}")
    second = run(tmp_path / "b", monkeypatch, recipe=still)
    for name in ("maps", "offsets.weight"):
        torch.testing.assert_close(second[name], first[name], atol=1e-6, rtol=0)


def test_the_exported_graph_answers_as_the_network(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = LandmarkNet().eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.5, 0.5)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 2.0)  # type: ignore[union-attr]
    export(network, tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").stat().st_size < 2_000_000
    crops = np.random.default_rng(1).integers(0, 256, (5, SIZE, SIZE), dtype=np.uint8)
    with torch.no_grad():
        points, _, _ = network(torch.from_numpy(crops).float().unsqueeze(1))
    found = Landmarker(path=tmp_path / "model.onnx").find_crops(crops)
    assert np.abs(np.stack([one.points for one in found]) - SIZE * points.numpy()).max() < PARITY


def test_every_weight_learns_and_a_judge_scores_what_it_can() -> None:
    torch.manual_seed(0)
    network, faces = LandmarkNet(), random_faces(6)
    points, errors, flips = network(torch.rand(4, 1, SIZE, SIZE) * 255)
    labels = torch.rand(4, 68, 2)
    sum(
        losses(points, errors, flips, labels, torch.full((4,), 0.02), torch.ones(4, dtype=torch.bool)).values()
    ).backward()  # type: ignore[union-attr]
    assert all(value.grad is not None and value.grad.abs().max() > 0 for value in network.parameters())
    scores = judge(network, faces, np.arange(6), torch.from_numpy(faces.pictures[:3]))
    assert set(scores) == {"error", "good_fits", "is_face"}
    assert np.isnan(scores["error"])  # random answers never agree with their mirror images


@pytest.mark.parametrize("name", ["landmarks68.yaml", "landmarks68_finish.yaml"])
def test_the_recipes_that_come_along_load(name: str, tmp_path: Path) -> None:
    recipe = load_landmark_recipe(RECIPES / name)
    assert isinstance(recipe, LandmarkRecipe)
    (tmp_path / "same.yaml").write_text(recipe.to_yaml())
    assert load_landmark_recipe(tmp_path / "same.yaml") == recipe


def test_a_typo_in_a_recipe_is_answered(tmp_path: Path) -> None:
    (tmp_path / "typo.yaml").write_text(TINY.replace("holdout", "holdput"))
    with pytest.raises(ConfigError, match=r"typo\.yaml: data\.holdput: unknown key; did you mean 'holdout'\?"):
        load_landmark_recipe(tmp_path / "typo.yaml")
    (tmp_path / "section.yaml").write_text("view: {}\n")
    with pytest.raises(ConfigError, match=r"unknown section 'view'; did you mean 'views'\?"):
        load_landmark_recipe(tmp_path / "section.yaml")

"""A training in bfloat16 on a CPU: which convolutions it has, and in what its losses are computed.

Accelerate knows one precision a process, so this one has a process of its own.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROBE = """
import sys
from pathlib import Path

import torch

from openfer.learn import engine
from openfer.learn.convolutions import DepthwiseConv2d
from openfer.learn.methods.csrn.relation import RelationNetwork
from openfer.learn.recipe import parse_recipe
from tests.learn.tiny import SECTIONS, tiny_recipe

out = Path(sys.argv[1])
compared, scored, quick = set(), set(), []
finish, train_stage = RelationNetwork.finish, engine.train_stage

def watched(network, convolved):
    scores = finish(network, convolved)
    compared.add((network.training, convolved.dtype))
    scored.add(scores.dtype)
    return scores

def counted(run, *others):
    quick.append(sum(isinstance(module, DepthwiseConv2d) for module in run.network.modules()))
    return train_stage(run, *others)

RelationNetwork.finish, engine.train_stage = watched, counted
episodes = {"name": "csrn", "patches": False, "select": False, "side": 48, "n_way": 3, "k_shot": 1}
engine.train(tiny_recipe(run={"precision": "bf16"}), out / "baseline")
changed = {
    "method": episodes,
    "backbone": {"name": "csrn_encoder", "size": 48},
    "optim": {**SECTIONS["optim"], "batch": 12},
    "run": {"precision": "bf16"},
}
engine.train(parse_recipe({**SECTIONS, **changed}, "tiny"), out / "csrn")
print(quick[0], " ".join(sorted(map(str, compared))), " ".join(map(str, scored)), sep="\\n")
"""


def test_a_training_has_the_precision_of_its_recipe(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROBE, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == 0, done.stderr
    convolutions, compared, scored = done.stdout.splitlines()[-3:]
    assert int(convolutions) > 0
    # In training and in judging the holdout alike; the scores themselves would tie too often with so few digits.
    assert compared == "(False, torch.bfloat16) (True, torch.bfloat16)"
    assert scored == "torch.float32"

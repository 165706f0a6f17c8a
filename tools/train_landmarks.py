"""The 68-point network of the package: label faces with the teacher, draw others, train, export.

    python tools/train_landmarks.py recipes/landmarks68.yaml RUN           # a killed run goes on
    python tools/train_landmarks.py recipes/landmarks68.yaml RUN --export  # what stands there now, as RUN/model.onnx

What a run leaves behind: the labels, `log.csv` with a row an epoch, the averaged weights, and the graph.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from openfer.errors import OpenFERError
from openfer.learn.backbones import read_weights
from openfer.learn.checkpoint import LAST
from openfer.learn.landmarks.export import export
from openfer.learn.landmarks.network import LandmarkNet
from openfer.learn.landmarks.recipe import load_landmark_recipe
from openfer.learn.landmarks.train import train


def main() -> None:
    """Read the arguments, train or only export."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("out", type=Path, metavar="RUN", help="the run's folder")
    parser.add_argument("--export", action="store_true", help="only write the graph of the last finished epoch")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    try:
        if options.export:
            network = LandmarkNet()
            network.load_state_dict(read_weights(options.out / LAST))
        else:
            network = train(load_landmark_recipe(options.recipe), options.out)
        export(network, options.out / "model.onnx")
    except OpenFERError as error:
        parser.error(str(error))
    print(options.out / "model.onnx")


if __name__ == "__main__":
    main()

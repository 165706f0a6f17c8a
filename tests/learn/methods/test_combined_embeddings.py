"""Parallel embeddings as a classifier that is linear once their lengths are held."""

from __future__ import annotations

import torch

from openfer.learn.heads.embeddings import ParallelEmbeddings


def test_the_linear_part_of_parallel_embeddings_multiplies_a_face_while_its_lengths_are_held() -> None:
    head = ParallelEmbeddings(6, 4, embeddings=3, width=5, dropout=0.0)
    features = torch.randn(2, 6)
    lengths = head.embed(features).view(2, 3, 5).norm(dim=2, keepdim=True)
    wanted = head.classify((head.embed(2 * features).view(2, 3, 5) / lengths).flatten(1))
    got = head(features)[0] + (head.linear_part(features) @ features[:, :, None])[..., 0]
    torch.testing.assert_close(got, wanted)
    assert torch.isfinite(head.linear_part(torch.zeros(1, 6))).all()

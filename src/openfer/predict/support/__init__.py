"""Classes of one's own from a handful of pictures each: no training, no PyTorch."""

from openfer.bundle.load import DEFAULT

SUPPORT_MODEL = DEFAULT
"""The model whose features tell the classes apart where nobody names one. It has learned more expressions than that of
`recipes/baseline/ferplus_unseen`, and tells new ones apart better for it (docs/guides/fewshot.md)."""

"""The project's own methods: a folder each. Importing a folder's `method` registers it."""

from __future__ import annotations

from openfer.learn.methods.adcorre import method as adcorre
from openfer.learn.methods.arm import method as arm
from openfer.learn.methods.aue import method as aue
from openfer.learn.methods.baseline import method as baseline
from openfer.learn.methods.combined import method as combined
from openfer.learn.methods.csrn import method as csrn
from openfer.learn.methods.fewshot import method as fewshot
from openfer.learn.methods.mek import method as mek

__all__ = ["adcorre", "arm", "aue", "baseline", "combined", "csrn", "fewshot", "mek"]

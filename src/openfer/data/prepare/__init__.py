"""Rows of a manifest, prepared for training: points, landmarks, places of action units, aligned faces and patches."""

from openfer.data.prepare.options import PrepareOptions
from openfer.data.prepare.report import PrepareReport
from openfer.data.prepare.run import prepare

__all__ = ["PrepareOptions", "PrepareReport", "prepare"]

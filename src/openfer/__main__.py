"""`python -m openfer` is the command `openfer`."""

from openfer.cli.entry import run

run()

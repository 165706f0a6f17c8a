"""Generated faces whose truth is known: data for trying things, where no data set is at hand."""

from openfer.synth.action_units import ActionUnits as ActionUnits
from openfer.synth.camera import Pose as Pose
from openfer.synth.identity import draw_identity as draw_identity
from openfer.synth.mini import mini_set as mini_set
from openfer.synth.rendering import render as render
from openfer.synth.scene import Scene as Scene
from openfer.synth.sets import draw_set as draw_set
from openfer.synth.sets import write_set as write_set
from openfer.synth.sheets import contact_sheet as contact_sheet
from openfer.synth.sheets import strip as strip

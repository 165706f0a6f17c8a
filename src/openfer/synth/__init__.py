"""Generated faces whose truth is known: data for trying things, where no data set is at hand."""

from openfer.synth.faces import draw_faces as draw_faces

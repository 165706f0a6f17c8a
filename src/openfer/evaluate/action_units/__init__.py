"""How well a model sees action units, against faces whose action units are known."""

"""Mine Extra Knowledge (Zhang et al., NeurIPS 2023): rare classes learn from the mirror images of all pictures."""

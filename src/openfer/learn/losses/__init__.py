"""Losses as pure functions of tensors, and modules where a loss has a state."""

"""Prototypical, relation and matching networks through easyfsl: what other few-shot methods are compared with."""

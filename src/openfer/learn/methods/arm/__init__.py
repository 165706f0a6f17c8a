"""ARM: a head that amends the last feature map (arXiv:2103.10189)."""

"""Cross-entropy on any backbone: what every method is compared with."""

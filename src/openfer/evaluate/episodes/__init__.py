"""Few-shot evaluation: episodes drawn from a manifest, kept as a file, answered by a model, judged like any rows."""

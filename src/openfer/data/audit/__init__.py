"""The audit of a manifest: copies, contradictions, leaks between splits, pictures of poor quality."""

"""Pictures in, faces with expressions out: sources -> faces -> predictions -> sinks, and overlays to look at."""

"""Data sets on disk become one manifest: a Parquet file, one row a picture."""

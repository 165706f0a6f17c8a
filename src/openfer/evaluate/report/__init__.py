"""The report: what was measured, how surely, and how it came about; as data, as a picture and as a page."""

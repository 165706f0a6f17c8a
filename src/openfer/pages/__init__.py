"""What every page for people is made of: one look, pictures inside the file, files written whole."""

"""Ad-Corre: several embeddings of a face, and three terms that say which of them should correlate."""

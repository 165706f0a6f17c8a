"""A picture becomes aligned faces: decoding, detection, alignment. One aligner serves training and use alike."""

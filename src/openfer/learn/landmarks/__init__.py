"""The 68-point network of `vision/landmarks.py`: its teacher, its training pictures, its training and its export."""

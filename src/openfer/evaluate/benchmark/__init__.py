"""Trainings of a grid (recipes x data sets x seeds) become one table: scores with intervals, paired tests, cost."""

"""Predictions and truth become numbers with their uncertainty, and a report that says how they came about."""

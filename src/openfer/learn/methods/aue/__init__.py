"""AUE-CRL: action units learned from expression labels alone, and attention over them for the expression."""

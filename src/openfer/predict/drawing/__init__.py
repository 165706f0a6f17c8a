"""How an overlay is made: words, cards, places for them, and paint."""

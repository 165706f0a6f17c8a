"""ARM's head, MEK's consistency and targets, and Ad-Corre's loss as parts of one network, each with a switch."""

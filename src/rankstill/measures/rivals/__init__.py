"""Other ways to rank sources of negatives before training, to compare our own measures with."""

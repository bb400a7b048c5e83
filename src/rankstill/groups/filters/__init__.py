"""Which candidates are too likely to be relevant to serve as negatives: rules, a judge, and what they dropped."""

"""The flow over a grid of choices: trials, the demo, the report."""

"""What to do, given what was measured: theory section 8 as formulas. Pure functions of numbers, no data read."""

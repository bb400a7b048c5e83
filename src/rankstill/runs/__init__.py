"""What a student ranks."""

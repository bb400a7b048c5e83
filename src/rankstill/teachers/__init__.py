"""What each pair is worth: teachers, the encoder, the score store."""

"""What we conclude from: effectiveness, locality, entropy, with intervals."""

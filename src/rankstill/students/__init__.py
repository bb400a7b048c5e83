"""What is trained: architectures, losses, the training loop."""

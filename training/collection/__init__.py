"""What happens to captured faces before training: review, split, copies."""

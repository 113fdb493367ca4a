"""What every training shares: one command, its options, sessions, checkpoints, previews, the held-out images."""

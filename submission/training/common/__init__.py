"""What every training shares: options, checkpoints, sessions, progress, the held-out split."""

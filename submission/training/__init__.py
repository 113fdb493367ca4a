"""Training what a generator needs: `python -m submission.training VERB ...`. Reads training splits only."""

"""Fine-tuning a DiT with the min-max losses."""

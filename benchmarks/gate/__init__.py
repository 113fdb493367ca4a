"""How well the accuracy gate tells regressions from noise."""

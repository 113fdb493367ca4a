"""The judge's commands: judge, audit, curve, export."""

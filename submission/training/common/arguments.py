"""The options that every training in pieces has."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch


def add_piece_arguments(parser: argparse.ArgumentParser, name: str) -> None:
    """Data, output, time, seed and device; `name` is the command's. How to resume is the command's own."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--dataset", required=True, help="name of the challenge to train for")
    parser.add_argument(
        "--data", type=Path, help="folder of the real data sets; default: $SUBMISSION_DATA or the cache"
    )
    parser.add_argument("--out", type=Path, help=f"folder for everything written; default: runs/{name}-DATASET")
    parser.add_argument("--minutes", type=float, help="end this session after so long, to go on later with --resume")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="default: %(default)s")

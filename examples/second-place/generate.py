"""Generate with the second place's published code, under a clock and to a file.

Copy this file beside `evaluate.py` of github.com/FanJunqiao/DD_Track2, whose `sample` makes images for ten minutes from
the moment at which its models are loaded and hands them to a training. Here it stops in time for whoever holds the
clock, and what it made becomes `{"images": ..., "labels": ...}` in one file. Nothing of the entry's code is changed.
"""

import argparse
import os
import time
from datetime import datetime, timedelta
from pathlib import Path

import evaluate  # the entry's
import numpy as np
import torch

DATASETS = ["tiny-imagenet", "cifar100"]  # in the order that the entry counts them in


class Clock:
    """Stands for `datetime` in the entry: jumps an hour ahead when only `margin_s` are left, which ends its loop."""

    def __init__(self, deadline: float, margin_s: float) -> None:
        self.stop = deadline - margin_s

    def now(self) -> datetime:
        return datetime.now() + (timedelta(hours=1) if time.monotonic() > self.stop else timedelta())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ckpt", required=True, help="the entry's two weight files: Tiny-ImageNet's,CIFAR-100's")
    parser.add_argument("--num-sampling-steps", type=int, default=10)
    parser.add_argument("--margin", type=float, default=15.0, help="seconds for the last batch and for saving")
    given = parser.parse_args()
    seed = int(os.environ["SUBMISSION_SEED"])
    np.random.seed(seed)  # the entry draws classes with NumPy and noise with torch
    torch.manual_seed(seed)
    evaluate.datetime = Clock(float(os.environ["SUBMISSION_DEADLINE_MONOTONIC"]), given.margin)
    arguments = argparse.Namespace(  # the defaults of the entry's own command line
        model="DiT-XL/2",
        vae="mse",
        image_size=256,
        num_classes=1000,
        cfg_scale=4.0,
        num_sampling_steps=given.num_sampling_steps,
        ckpt=given.ckpt.split(","),
        spec="imagenet_tiny",
        save_dir=os.environ["SUBMISSION_OUTPUT"],
        nclass=[200, 100],
        phase=0,
    )
    dataset = os.environ["SUBMISSION_DATASET"]
    images, labels = evaluate.sample(arguments, DATASETS.index(dataset))
    file = Path(os.environ["SUBMISSION_OUTPUT"]) / f"{dataset.replace('-', '')}.pt"
    torch.save({"images": images, "labels": labels}, file)


if __name__ == "__main__":
    main()

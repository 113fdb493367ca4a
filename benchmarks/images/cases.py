"""The runs whose images `benchmarks.image_hashes` takes the hashes of: every generator on what it can make here."""

from __future__ import annotations

from dataclasses import dataclass

# The folder of the tiny models, in a case's options.
MODELS = "{models}"


@dataclass(frozen=True)
class Case:
    """One run: of `generator` for `dataset`, with what else the command line says."""

    generator: str
    dataset: str
    options: str = ""
    ipc: int = 1


DIGITS, CIFAR, TINY = "digits", "cifar100", "tiny-imagenet"
NEED_DATA = ("real", "rded", "selection", "prototypes")
FEW = "--set candidates=4 --set clusters=2"  # of the real images, so that those of 100 classes take seconds
EDM_SOLVERS = ("euler", "heun", "dpm2m", "ipndm")
DIT_SOLVERS = ("dpmsolver++", "unipc", "ddim", "ancestral")
CASES = (
    *(Case("noise", dataset) for dataset in (DIGITS, TINY)),
    *(Case("real", dataset) for dataset in (DIGITS, CIFAR)),
    *(Case("gaussian", dataset, ipc=2) for dataset in (DIGITS, CIFAR, TINY)),
    *(Case("distilled", dataset) for dataset in (CIFAR, TINY)),
    Case("distilled", CIFAR, "--pda 5", ipc=5),
    *(Case("native", dataset) for dataset in (DIGITS, CIFAR)),
    *(Case("native", DIGITS, f"--steps 6 --set solver={solver} --set precision=fp32", ipc=2) for solver in EDM_SOLVERS),
    Case("native", DIGITS, "--set guidance=2 --set noise_scale=0.9", ipc=2),
    Case("native", DIGITS, "--weights {models}/native-consistency --steps 3", ipc=2),
    Case("native", DIGITS, "--pda 5", ipc=5),
    Case("edm", CIFAR, "--weights {models}/edm-cifar100 --steps 5"),
    Case("edm", TINY, "--weights {models}/edm-imagenet --steps 5 --set solver=heun"),
    Case("consistency", CIFAR, "--weights {models}/consistency --steps 1"),
    Case("consistency", TINY, "--weights {models}/consistency"),
    Case("sdxl-turbo", DIGITS, "--weights {models}/sdxl-turbo --set size=64", ipc=2),
    Case("sdxl-turbo", CIFAR, "--weights {models}/sdxl-turbo --set size=64 --set template={name} --steps 2"),
    Case(
        "sdxl-turbo",
        TINY,
        "--weights {models}/sdxl-turbo --set size=64 --set decoder=tiny --set decoder_weights={models}/tiny-decoder",
    ),
    *(Case("dit", TINY, f"--weights {{models}}/dit --steps 4 --set solver={solver}") for solver in DIT_SOLVERS),
    Case("dit-minmax", DIGITS, "--weights {models}/dit-digits --steps 4 --set guidance=1.5", ipc=2),
    Case("rded", DIGITS, "--set epochs=2", ipc=2),
    Case("rded", DIGITS, "--set epochs=2 --set factor=2", ipc=2),
    *(
        Case(generator, DIGITS, f"{FEW}{weights}", ipc=2)
        for generator in ("selection", "prototypes")
        for weights in ("", " --weights {models}/dit-digits", " --weights {models}/text")
    ),
    *(Case(generator, CIFAR, FEW) for generator in ("selection", "prototypes")),
)
LEFT_OUT = {
    "noise on cifar100": "the same code as on digits and tiny-imagenet",
    "real on tiny-imagenet": "a minute of one core to decode the data set, and the code is the same as on cifar100",
    "rded on cifar100 and tiny-imagenet": "it first trains a classifier on the whole split, minutes of one core",
    "selection and prototypes on tiny-imagenet": "no weights of native are shipped for it",
    "distilled on digits, native on tiny-imagenet": "no weights are shipped",
    "dit-minmax on cifar100 and tiny-imagenet": "the same code as on digits, and random weights everywhere",
    "published networks": "their weights cannot be fetched here; tiny ones of the same forms stand in for them",
}

"""`python -m submission.training VERB ...`: train what a generator needs."""

import argparse
import sys
from pkgutil import resolve_name

from evaluation.base.interruption import as_a_command
from evaluation.base.limits import limit_threads
from evaluation.base.terminal import outlast_terminal

# verb -> (what has `add_arguments` and `run`, what it does)
VERBS = {
    "native": ("submission.training.native.train:DiffusionRun", "train the project's own diffusion model"),
    "distill": (
        "submission.training.native.distill:DistillRun",
        "tune weights of `native` for one or two steps",
    ),
    "minmax": ("submission.training.minmax.command:MinMaxRun", "fine-tune a DiT with the min-max losses"),
    "gaussian": ("submission.training.mixtures.gaussian", "fit mixtures of Gaussians"),
    "distilled": (
        "submission.training.distilled.command:DistilledRun",
        "learn prototypes that look real to networks",
    ),
    "convert-edm": ("submission.training.edm.convert", "convert a published EDM pickle to weights of `edm`"),
}


def main(arguments: list[str] | None = None) -> int:
    """Run one verb. Returns the exit code: 0 done, 2 bad usage or input, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(prog="python -m submission.training", description="Train what a generator needs.")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb, (command, summary) in VERBS.items():
        verb_parser = verbs.add_parser(
            verb,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,  # keeps the examples as they are
        )
        if verb in arguments[:1]:  # only what is asked for is imported: torch takes seconds
            resolve_name(command).add_arguments(verb_parser)
    args = parser.parse_args(arguments)
    try:
        return resolve_name(VERBS[args.verb][0]).run(args)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    with as_a_command():
        outlast_terminal()
        limit_threads()
        sys.exit(main())

"""What the process that commands are forked from has done before the first: their imports, and the judge's kernel."""

from importlib import import_module

from evaluation.judge.cpp_kernels.norm_relu_pool import build_cpp_kernel
from evaluation.judge.cpp_kernels.winograd import build_winograd

for _name in (
    *("harness.run.run", "harness.commands.cli", "evaluation.commands.judge", "evaluation.commands.cli"),
    *("submission.worker.source", "submission.worker.writer", "submission.worker.pacing"),
    *("matplotlib.pyplot", "scipy.stats", "sklearn.datasets", "jinja2", "safetensors.torch", "rich.progress"),
):
    import_module(_name)
build_winograd()
build_cpp_kernel()  # it is kept for the life of a process, and of those forked from it

from evaluation.base.limits import limit_threads
from harness.commands.cli import main

limit_threads()
main()

from evaluation.base.interruption import as_a_command
from evaluation.base.limits import limit_threads
from evaluation.base.terminal import outlast_terminal

with as_a_command():
    outlast_terminal()
    from evaluation.commands.cli import main

    limit_threads()
    main()

from evaluation.base.interruption import as_a_command
from evaluation.base.limits import limit_threads

with as_a_command():
    from evaluation.commands.cli import main

    limit_threads()
    main()

"""`python -m tests.system.few_files --config FILE` is `gureum.roles.all_in_one` with 1,024 open files and no more."""

from __future__ import annotations

import resource

from gureum.roles.all_in_one import main

if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))
    main()

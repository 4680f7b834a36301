"""Measures every claim about speed and memory, each beside a limit that is measured in the same run.

`bench/run` is the command; `rows/` holds what is measured, `cloud.py` starts and stops the simulated cloud that is
measured, `limits.py` measures what the machine and the libraries could do at best. Nothing here is imported by Gureum.
"""

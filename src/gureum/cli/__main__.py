"""The command line. Options are declared here, work is done in the modules, which are imported when they are needed.

Every failure that a person can mend is one sentence with its remedy and exit code 1; a traceback is a mistake of ours.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from gureum.cli.terminal import Terminal, default_state, explain
from gureum.lab.refusal import Refusal
from gureum.lab.state import open_state

app = typer.Typer(
    name="gureum",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="A cloud in one command.",
)
task = typer.Typer(no_args_is_help=True, help="The durable tasks behind resources.")
app.add_typer(task, name="task")

State = Annotated[
    str,
    typer.Option("--state", help="The cloud's folder; one folder is one cloud.", show_default=".gureum in the clone"),
]


@app.command()
def up(  # noqa: PLR0917 - typer reads them as options
    hosts: Annotated[int | None, typer.Option(help="How many hosts (default 1, or as before).")] = None,
    simulate: Annotated[
        bool | None, typer.Option("--simulate", help="Fakes for the engines: no root, no guests.")
    ] = None,
    state: State = "",
    port: Annotated[int | None, typer.Option(help="The API's port (default 8774).")] = None,
    listen: Annotated[str | None, typer.Option(help="The API's address (default 127.0.0.1).")] = None,
    uplink: Annotated[str | None, typer.Option(help="NAT the external network out through this interface.")] = None,
    database: Annotated[str | None, typer.Option(help="A database URL (default: SQLite in the folder).")] = None,
    bus: Annotated[str | None, typer.Option(help="A broker URL such as amqp://... (default: a unix socket).")] = None,
) -> None:
    """Start the cloud, or start again what runs no more; install what is missing."""
    from gureum.cli.facts import print_facts
    from gureum.lab.launch import bring_up

    asked = {
        "hosts": hosts, "simulate": simulate, "port": port, "listen": listen,
        "uplink": uplink, "database": database, "bus": bus,
    }  # fmt: skip
    with Terminal() as terminal:
        done = bring_up(open_state(state or default_state()), asked, terminal)
    print_facts(done, terminal.elapsed_s)


@app.command()
def down(
    state: State = "",
    purge: Annotated[bool, typer.Option("--purge", help="Remove the state folder too.")] = False,
) -> None:
    """Stop everything that runs. The state stays: `up` brings it back."""
    from gureum.lab.launch import bring_down

    folder = open_state(state or default_state())
    with Terminal() as terminal:
        bring_down(folder, purge, terminal)


@app.command()
def status(state: State = "") -> None:
    """What runs, since when, how often it was restarted, how much memory it takes."""
    from gureum.cli.status import print_status

    sys.exit(print_status(open_state(state or default_state())))


@app.command()
def doctor(state: State = "") -> None:
    """Check the machine; say what is missing and the command that mends it."""
    from gureum.cli.doctor import examine

    sys.exit(examine(open_state(state or default_state())))


@app.command()
def logs(
    name: Annotated[
        str, typer.Argument(help="One daemon's; without it: which there are, and the control plane's.")
    ] = "",
    state: State = "",
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on as lines come.")] = False,
    lines: Annotated[int, typer.Option("-n", "--lines", help="How many of the last lines.")] = 50,
) -> None:
    """Show the last lines of a log."""
    from gureum.cli.logs import show_logs

    show_logs(open_state(state or default_state()), name, lines, follow)


@app.command()
def trace(request_id: Annotated[str, typer.Argument(help="Such as req-...")], state: State = "") -> None:
    """The story of one request over all processes and agents, in order of time."""
    from gureum.cli.logs import print_trace

    sys.exit(print_trace(open_state(state or default_state()), request_id))


@app.command()
def enter(
    host: Annotated[str, typer.Argument(help="Such as host1.")],
    command: Annotated[list[str] | None, typer.Argument(help="What to run there (default: a shell).")] = None,
    state: State = "",
) -> None:
    """Run a command inside a host's namespaces."""
    from gureum.cli.enter import enter_host

    enter_host(open_state(state or default_state()), host, command or [])


@app.command("test", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def run_test(
    context: typer.Context,
    what: Annotated[str, typer.Argument(help="A tier (unit api contracts crash compat system habits) or a path.")] = "",
) -> None:
    """Run the tests; what follows is given to pytest."""
    from gureum.cli.test import run_tests

    sys.exit(run_tests(what, context.args))


@task.command("list")
def task_list(
    state: State = "",
    every: Annotated[bool, typer.Option("--all", help="Finished tasks too.")] = False,
) -> None:
    """What waits on what, and since when."""
    from gureum.cli.tasks import print_tasks

    sys.exit(print_tasks(open_state(state or default_state()), every))


def main() -> int:  # noqa: PLR0911 - one for each way to end
    try:
        app(standalone_mode=False)
    except Refusal as refusal:
        explain(refusal.problem, refusal.remedy)
        return 1
    except KeyboardInterrupt:
        explain("Interrupted; what this command started is stopped.", "Run it again to go on.")
        return 130
    except OSError as error:
        if error.errno != 28:  # ENOSPC
            raise
        explain("The disk is full.", "Free some space and run the command again.")
        return 1
    except SystemExit as ending:
        return int(ending.code or 0)
    except typer.Abort:
        return 130
    except Exception as error:
        if type(error).__name__ in {
            "UsageError",
            "NoSuchOption",
            "BadParameter",
            "MissingParameter",
            "BadArgumentUsage",
            "NoArgsIsHelpError",
        }:
            explain(str(getattr(error, "message", error)), "See `gureum --help`.")
            return 2
        raise
    return 0


if __name__ == "__main__":
    sys.exit(main())

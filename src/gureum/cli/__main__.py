"""The command line: options are declared here, work is done in the modules, which are imported when they are needed.

Every failure that a person can mend is one sentence with its remedy and exit code 1; a traceback is a mistake of ours.
argparse, because it costs 10 ms of the two seconds that `up --simulate` has.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from gureum import __version__
from gureum.cli.terminal import Terminal, default_state, explain, launcher
from gureum.lab.refusal import Refusal
from gureum.lab.state import RESETTABLE, StateFolder, open_state

Subcommands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - has no public name
ROLES = ("api", "worker", "all-in-one", "host")
"""What `install` takes; `lab/installing.py` says what each is."""


def up(given: argparse.Namespace) -> int:
    from gureum.lab.launch import bring_up

    names = ("hosts", "simulate", "port", "listen", "uplink", "inbound", "database", "bus", "services")
    asked = {name: getattr(given, name) for name in names}
    with Terminal() as terminal:
        done = bring_up(_folder(given), asked, terminal, reset=given.reset)
    from gureum.cli.facts import print_facts  # not before: the cloud starts so much earlier

    print_facts(done, terminal.elapsed_s)
    return 0


def down(given: argparse.Namespace) -> int:
    from gureum.lab.launch import bring_down

    state = _folder(given)
    with Terminal() as terminal:
        was_there = bring_down(state, given.purge, terminal, now=given.now)
    if not was_there:
        print(f"No cloud runs in {state.root}.")
    return 0


def install(given: argparse.Namespace) -> int:
    from gureum.cli.install import install_for_people

    return install_for_people(given.roles)


def openrc(given: argparse.Namespace) -> int:
    from gureum.cli.install import print_openrc

    return print_openrc(given.config)


def guest_image(given: argparse.Namespace) -> int:
    from gureum.cli.install import write_guest_image

    return write_guest_image(given.file)


def status(given: argparse.Namespace) -> int:
    from gureum.cli.status import print_status

    return print_status(_folder(given), given.json)


def doctor(given: argparse.Namespace) -> int:
    from gureum.cli.doctor import examine

    if given.host:
        from gureum.cli.doctor import examine_host

        return examine_host(given.json)
    return examine(_folder(given), given.config, given.json)


def logs(given: argparse.Namespace) -> int:
    from gureum.cli.logs import show_logs

    show_logs(_folder(given), given.name, given.lines, given.follow)
    return 0


def trace(given: argparse.Namespace) -> int:
    from gureum.cli.logs import print_trace

    return print_trace(_folder(given), given.request_id, given.json)


def enter(given: argparse.Namespace) -> int:
    from gureum.cli.enter import enter_host

    enter_host(_folder(given), given.host, given.command)
    return 0


def test(given: argparse.Namespace) -> int:
    from gureum.cli.test import run_tests

    return run_tests(given.what, given.arguments)


def task_list(given: argparse.Namespace) -> int:
    from gureum.cli.tasks import print_tasks

    return print_tasks(given.config or _folder(given).config, given.all, given.json)


def event_list(given: argparse.Namespace) -> int:
    from gureum.cli.events import print_subscribers

    return print_subscribers(given.config or _folder(given).config, given.json)


def event_replay(given: argparse.Namespace) -> int:
    from gureum.cli.events import replay

    return replay(given.config or _folder(given).config, given.name, given.number)


def event_skip(given: argparse.Namespace) -> int:
    from gureum.cli.events import skip

    return skip(given.config or _folder(given).config, given.name)


def event_forget(given: argparse.Namespace) -> int:
    from gureum.cli.events import forget

    return forget(given.config or _folder(given).config, given.name)


def host_list(given: argparse.Namespace) -> int:
    from gureum.cli.hosts import print_hosts

    return print_hosts(given.config or _folder(given).config, given.json)


def project_leftovers(given: argparse.Namespace) -> int:
    from gureum.cli.projects import print_leftovers

    return print_leftovers(given.config or _folder(given).config, given.json)


def project_clean(given: argparse.Namespace) -> int:
    from gureum.cli.projects import clean

    return clean(given.config or _folder(given).config, given.project_id)


def keys_rotate(given: argparse.Namespace) -> int:
    from gureum.cli.keys import rotate_keys

    return rotate_keys(given.config or _folder(given).config, given.which, given.json)


def service_list(given: argparse.Namespace) -> int:
    from gureum.cli.services import print_services

    return print_services(given.config or _folder(given).config, given.json)


def service_enable(given: argparse.Namespace) -> int:
    from gureum.cli.services import enable

    with Terminal() as terminal:
        return enable(_folder(given), given.name, terminal)


def service_disable(given: argparse.Namespace) -> int:
    from gureum.cli.services import disable

    with Terminal() as terminal:
        return disable(_folder(given), given.name, terminal)


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    whole = argparse.ArgumentParser(prog="gureum", description="A cloud in one command.")
    whole.add_argument("--version", action="version", version=f"gureum {__version__}")
    commands = whole.add_subparsers(metavar="COMMAND", dest="subcommand", required=True)
    folder = argparse.ArgumentParser(add_help=False)
    folder.add_argument("--state", default="", metavar="DIR", help="the cloud's folder (default: .gureum in the clone)")

    as_json = argparse.ArgumentParser(add_help=False)
    as_json.add_argument("--json", action="store_true", help="one JSON document, for programs")
    shown = [folder, as_json]

    one = commands.add_parser("up", parents=[folder], help="start the cloud; install what is missing")
    _up_options(one)
    _many_machines(commands)
    one = commands.add_parser("down", parents=[folder], help="stop everything that runs; the state stays")
    one.add_argument("--purge", action="store_true", help="remove the state folder too")
    one.add_argument("--now", action="store_true", help="cut the guests' power instead of asking them to shut down")
    one.set_defaults(run=down)
    one = commands.add_parser("status", parents=shown, help="what runs, since when, restarts, memory")
    one.set_defaults(run=status)
    one = commands.add_parser("doctor", parents=shown, help="check the machine, say what mends it")
    one.add_argument(
        "--config", type=Path, metavar="FILE", help="the control plane's (default: the folder's gureum.toml)"
    )
    one.add_argument("--host", action="store_true", help="check a host of a cloud of several machines")
    one.set_defaults(run=doctor)
    one = commands.add_parser("logs", parents=[folder], help="the last lines of a log")
    one.add_argument("name", nargs="?", default="", help="such as control or host1.agent")
    one.add_argument("-f", "--follow", action="store_true", help="go on as lines come")
    one.add_argument("-n", "--lines", type=int, default=50, help="how many (default 50)")
    one.set_defaults(run=logs)
    one = commands.add_parser("trace", parents=shown, help="the story of one request over all processes")
    one.add_argument("request_id", metavar="REQUEST_ID", help="such as req-...")
    one.set_defaults(run=trace)
    one = commands.add_parser("enter", parents=[folder], help="a shell or a command inside a host's namespaces")
    one.add_argument("host", nargs="?", default="", help="such as host1")
    one.add_argument("command", nargs="*", metavar="COMMAND", help="after --")
    one.set_defaults(run=enter)
    _tasks_and_hosts(commands, shown)
    _events(commands, folder, shown)
    _projects(commands, folder, shown)
    _services(commands, folder, shown)
    one = commands.add_parser("keys", help="the keys that seal tokens and stored secrets")
    inner = one.add_subparsers(metavar="rotate", required=True).add_parser(
        "rotate", parents=shown, help="a new key, while the cloud runs"
    )
    inner.add_argument("which", choices=("tokens", "secrets"), metavar="tokens|secrets")
    inner.add_argument("--config", type=Path, metavar="FILE", help="the control plane's (default: the folder's)")
    inner.set_defaults(run=keys_rotate)
    one = commands.add_parser("test", help="run the tests: all, a tier, a path, or --changed")
    one.add_argument("what", nargs="?", default="", metavar="TIER|PATH")
    one.set_defaults(run=test)
    return whole


def _events(commands: Subcommands, folder: argparse.ArgumentParser, shown: list[argparse.ArgumentParser]) -> None:
    one = commands.add_parser("event", help="what services tell each other, and how far it is read")
    inner = one.add_subparsers(metavar="list|replay|skip|forget", required=True)
    verbs = [inner.add_parser("list", parents=shown, help="where each durable subscriber stands, and what fails")]
    verbs.append(inner.add_parser("replay", parents=[folder], help="have a subscriber go on with a certain event"))
    verbs.append(
        inner.add_parser("skip", parents=[folder], help="have a subscriber pass the event that it cannot handle")
    )
    verbs.append(inner.add_parser("forget", parents=[folder], help="keep no events for a subscriber that is no more"))
    for verb, run in zip(verbs, (event_list, event_replay, event_skip, event_forget), strict=True):
        verb.add_argument("--config", type=Path, metavar="FILE", help="the control plane's (default: the folder's)")
        verb.set_defaults(run=run)
    for verb in verbs[1:]:
        verb.add_argument("name", metavar="SUBSCRIBER")
    verbs[1].add_argument("number", type=int, metavar="NUMBER", help="of the event; 0 is the oldest that is kept")


def _tasks_and_hosts(commands: Subcommands, shown: list[argparse.ArgumentParser]) -> None:
    one = commands.add_parser("task", help="the durable tasks behind resources")
    tasks = one.add_subparsers(metavar="list", required=True).add_parser(
        "list", parents=shown, help="what waits on what"
    )
    tasks.add_argument("--all", action="store_true", help="those that only wait for a wish, too")
    one = commands.add_parser("host", help="the hosts and their agents")
    hosts = one.add_subparsers(metavar="list", required=True).add_parser(
        "list", parents=shown, help="each agent: its version, since when it runs, when it was heard"
    )
    for verb, run in ((tasks, task_list), (hosts, host_list)):
        verb.add_argument("--config", type=Path, metavar="FILE", help="the control plane's (default: the folder's)")
        verb.set_defaults(run=run)


def _projects(commands: Subcommands, folder: argparse.ArgumentParser, shown: list[argparse.ArgumentParser]) -> None:
    one = commands.add_parser("project", help="what deleted projects left behind")
    inner = one.add_subparsers(metavar="leftovers|clean", required=True)
    listing = inner.add_parser("leftovers", parents=shown, help="deleted projects that still have resources")
    cleaning = inner.add_parser("clean", parents=[folder], help="delete what a deleted project left")
    cleaning.add_argument("project_id", metavar="PROJECT_ID")
    for verb, run in ((listing, project_leftovers), (cleaning, project_clean)):
        verb.add_argument("--config", type=Path, metavar="FILE", help="the control plane's (default: the folder's)")
        verb.set_defaults(run=run)


def _services(commands: Subcommands, folder: argparse.ArgumentParser, shown: list[argparse.ArgumentParser]) -> None:
    one = commands.add_parser("service", help="which services this cloud carries")
    inner = one.add_subparsers(metavar="list|enable|disable", required=True)
    verb = inner.add_parser("list", parents=shown, help="each service, what it needs and what it costs")
    verb.add_argument("--config", type=Path, metavar="FILE", help="the control plane's (default: the folder's)")
    verb.set_defaults(run=service_list)
    verb = inner.add_parser("enable", parents=[folder], help="carry this service too; the cloud goes on running")
    verb.add_argument("name", metavar="NAME")
    verb.set_defaults(run=service_enable)
    verb = inner.add_parser("disable", parents=[folder], help="carry it no more; its data stays")
    verb.add_argument("name", metavar="NAME")
    verb.set_defaults(run=service_disable)


def _many_machines(commands: Subcommands) -> None:
    one = commands.add_parser("install", help="make this machine run roles of a cloud of several machines (systemd)")
    one.add_argument("roles", nargs="+", metavar="ROLE", choices=ROLES, help=", ".join(ROLES))
    one.set_defaults(run=install)
    one = commands.add_parser("openrc", help="the administrator's variables for the stock client")
    one.add_argument("--config", type=Path, required=True, metavar="FILE", help="the control plane's gureum.toml")
    one.set_defaults(run=openrc)
    one = commands.add_parser("guest-image", help="build the small guest image mini")
    one.add_argument("file", type=Path, metavar="FILE", help="the qcow2 file to write")
    one.set_defaults(run=guest_image)


def _up_options(one: argparse.ArgumentParser) -> None:
    one.add_argument("--hosts", type=int, metavar="N", help="how many hosts (default 1, or as before)")
    one.add_argument("--simulate", action="store_true", default=None, help="fakes for the engines: no root, no guests")
    one.add_argument("--port", type=int, metavar="P", help="the API's port (default 8774)")
    one.add_argument("--listen", metavar="ADDRESS", help="the API's address (default 127.0.0.1)")
    one.add_argument("--uplink", metavar="INTERFACE", help="a way out for the external network, by NAT")
    one.add_argument(
        "--inbound",
        action="store_true",
        default=None,
        help="with --uplink: others may reach servers' external addresses",
    )
    one.add_argument(
        "--database", metavar="URL", help="such as postgresql+psycopg://... (default: SQLite in the folder)"
    )
    one.add_argument("--bus", metavar="URL", help="such as amqp://... (default: a unix socket)")
    one.add_argument(
        "--services",
        metavar="NAMES",
        help="a profile, services, or both, with commas (default: core)",
    )
    one.add_argument(
        "--reset",
        action="append",
        default=[],
        metavar="OPTION",
        choices=RESETTABLE,
        help=f"forget what an earlier up was told: {', '.join(RESETTABLE)}",
    )
    one.set_defaults(run=up)


def _folder(given: argparse.Namespace) -> StateFolder:
    return open_state(given.state or default_state())


def listen_to_interrupts() -> None:
    """A time limit's SIGTERM and a closed terminal interrupt like Ctrl-C. Who ignores one (nohup) goes on doing so.

    The launcher holds Ctrl-C back until here, where it has an answer.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    """Ours, and another program's: pytest's after `test [TIER|PATH]`, the command after `enter ... --`.

    argparse would take an option's value for the tier, and loses a command when an option stands between HOST and it.
    """
    if words[:1] == ["test"] and words[1:2] not in (["-h"], ["--help"]):
        place = 1 if words[1:2] and words[1].startswith("-") else 2
        return words[:place], words[place:]
    if words[:1] != ["enter"] or "--" not in words:
        return words, []
    place = words.index("--")
    return words[:place], words[place + 1 :]


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    whole = parser()
    ours, command = _split(sys.argv[1:] if words is None else list(words))
    if not ours:
        whole.print_help(sys.stderr)
        return 2
    given, rest = whole.parse_known_args(ours)
    if rest:
        more = " (write a command's own options after --)" if given.run is enter else ""
        words = " ".join(rest)
        whole.error(f"unrecognized arguments: {words}{more}. See: {launcher()} {given.subcommand} --help")
    given.arguments = command
    if given.run is enter:
        given.host, *given.command = [one for one in [given.host] if one] + given.command + command or [""]
        if not given.host:
            whole.error("enter which host? such as: enter host1")
    try:
        listen_to_interrupts()
        return int(given.run(given))
    except Refusal as refusal:
        explain(refusal.problem, refusal.remedy)
    except KeyboardInterrupt:
        explain("Interrupted; what this command started is stopped.", "Run it again to go on.")
        return 130
    except BrokenPipeError:  # whoever read our words, `head` say, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno != 28:  # ENOSPC
            raise
        explain("The disk is full.", "Free some space and run the command again.")
    return 1


if __name__ == "__main__":
    sys.exit(main())

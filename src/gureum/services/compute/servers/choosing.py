"""Which host takes a server, read from the tables: the few with the most room first, all when none of those will do.

Invariant: the choice is the one that `rules.choose` makes among all hosts.
"""

from __future__ import annotations

from gureum.foundation.db.engine import Tx
from gureum.services.compute.hosts.states import HostStates
from gureum.services.compute.servers.rules import WEIGHED, Choice, Wish, choose
from gureum.services.placement.facade import PlacementFacade, Snapshot, Wanted

ROOMIEST = 16
"""Hosts that are looked at first: reading a thousand takes longer than all else in a choice."""


def choice_of(tx: Tx, placement: PlacementFacade, hosts: HostStates, wanted: Wanted, wish: Wish) -> Choice:
    """The chosen host, or why there is none. Reads `ROOMIEST` hosts; all hosts only when none of these will do."""
    if wish.suits_most() and (views := placement.roomiest(tx, wanted, WEIGHED, ROOMIEST)):
        choice = choose(Snapshot(views), hosts.facts(tx, [view.name for view in views]), wish)
        if choice.host is not None:
            return choice
    return choose(placement.candidates(tx, wanted), hosts.facts(tx), wish)

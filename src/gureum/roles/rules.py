"""The policy rules of every service, without a control plane."""

from __future__ import annotations

from gureum.foundation.policy import Rule
from gureum.services.compute.nouns import NOUNS as COMPUTE
from gureum.services.identity.nouns import NOUNS as IDENTITY
from gureum.services.image.service import NOUNS as IMAGE
from gureum.services.network.service import NOUNS as NETWORK
from gureum.services.placement.nouns import NOUNS as PLACEMENT


def all_rules() -> tuple[Rule, ...]:
    nouns = (*IDENTITY, *PLACEMENT, *IMAGE, *NETWORK, *COMPUTE)
    return tuple(rule for noun in nouns for rule in noun.RULES)

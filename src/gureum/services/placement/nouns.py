"""The manifest: one line for each noun of placement."""

from __future__ import annotations

from gureum.services.placement import discovery

NOUNS = (discovery,)

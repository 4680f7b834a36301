"""What clients are shown of application credentials and of their access rules."""

from __future__ import annotations

from gureum.foundation.http.views import View


class BriefAccessRule(View):
    """An access rule as the credentials and tokens that it narrows show it."""

    id: str
    path: str
    method: str
    service: str

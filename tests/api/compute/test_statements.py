"""What one server costs the database, counted: the figures that docs/operate/performance.md promises.

Counts are exact, so that one more statement is a decision: look at what the new one is for, and whether one that is
there already can say it. Then change the figure here and in the document.
"""

from __future__ import annotations

import pytest
from tests.cloud import SimulatedCloud

SERVERS = "/compute/v2.1/servers"


@pytest.fixture
def cloud(tmp_path):
    cloud = SimulatedCloud(tmp_path)
    yield cloud
    cloud.close()


@pytest.fixture
def wanted(cloud):
    """The body of a server with a port, where what is made once for a project or a network is there already."""
    demo = cloud.client("demo")
    body = {"imageRef": cloud.image(), "networks": [{"uuid": cloud.network(demo)}]}
    cloud.server(demo, **body)
    cloud.settle()
    return body


class Counted:
    """Statements and commits since the last look."""

    def __init__(self, cloud):
        self._counters = cloud.control.database.counters
        self._before = (0, 0)
        self.since()

    def since(self):
        before, self._before = self._before, (self._counters.statements, self._counters.commits)
        return self._before[0] - before[0], self._before[1] - before[1]


def test_a_server_with_a_port_from_its_post_to_active(cloud, wanted):
    demo, count = cloud.client("demo"), Counted(cloud)
    server = cloud.server(demo, **wanted)
    assert count.since() == (12, 1), "the POST, with quotas that are counted against"
    cloud.control.engine.run_due()
    cloud.writer.run_once()
    cloud.control.engine.run_due()
    assert count.since() == (26, 5), "its task and the network writer; two are `run_due`'s own looks for more"
    assert demo.get(f"{SERVERS}/{server}").json()["server"]["status"] == "ACTIVE"
    assert count.since() == (3, 0), "a GET"

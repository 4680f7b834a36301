"""Two real clouds side by side on one machine: own ports, ranges, namespaces; ending one leaves the other alone."""

from __future__ import annotations

import pytest
from tests.system.real_cloud import RealCloud, eventually, ping

pytestmark = [pytest.mark.engines, pytest.mark.filterwarnings("ignore")]


def test_two_clouds_side_by_side():
    with RealCloud("east") as east, RealCloud("west") as west:
        servers = {}
        for cloud in (east, west):
            cloud.prepare()
            servers[cloud] = cloud.boot("one")
        assert east.external_cidr != west.external_cidr
        for cloud, server in servers.items():
            cloud.wait_for(server)
        ips = {cloud: cloud.floating_ip(server) for cloud, server in servers.items()}
        guests = {cloud: cloud.guest(ip).wait() for cloud, ip in ips.items()}
        assert [len(cloud.domains("host1")) for cloud in servers] == [1, 1]
        said = {
            cloud: guest.run("curl -s http://169.254.169.254/latest/meta-data/public-ipv4")
            for cloud, guest in guests.items()
        }
        assert said == ips
        west.purge()
        assert west.traces() == []
        assert ping(ips[east])
        assert east.running()
        east.kill("control")
        eventually(east.running, 30)
        assert guests[east].run("hostname").strip() == "one"

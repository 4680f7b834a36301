"""What the log line of a request shows of the request, and what the text of a failed statement shows."""

from __future__ import annotations

import logging

import pytest
from sqlalchemy.exc import IntegrityError
from tests.cloud import SimulatedCloud

from gureum.foundation.log import LineFormatter
from gureum.foundation.tasks.model import Lease

HEX = "0123456789abcdef" * 2
FERNET = "gAAAAABl" + "Zm9v" * 30


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    cloud = SimulatedCloud(tmp_path_factory.mktemp("cloud"))
    yield cloud
    cloud.close()


@pytest.mark.parametrize(
    "target",
    [
        f"/identity/v2.0/tokens/{HEX}",
        f"/identity/v3/nowhere/{HEX}",
        f"/nowhere/{HEX}?again={HEX}",
        f"/compute/v2.1/servers/{FERNET}",
        f"/network/v2.0/networks?token={HEX}",
        f"/image/v2/images?X-Amz-Signature={HEX}&X-Amz-Security-Token={HEX}",
        f"/v1/AUTH_p/c/o?temp_url_sig={HEX}",
    ],
)
def test_no_token_and_no_signature_of_a_url_is_logged(cloud, caplog, target):
    client = cloud.client()
    with caplog.at_level(logging.INFO, "gureum.http"):
        caplog.clear()
        client.get(target)
    formatter = LineFormatter("control")
    lines = [formatter.format(record) for record in caplog.records]
    assert any(target.split("/")[1] in line for line in lines)
    assert not [line for line in lines if HEX in line or FERNET in line]


def test_the_text_of_a_failed_statement_has_no_values(cloud):
    """Values may be passwords' hashes, or keys."""
    database = cloud.control.database

    def twice(tx):
        for _ in range(2):
            tx.add(Lease(name="hush", owner="hush-owner", until=0.0))
            tx.flush()
            tx.expunge_all()

    with pytest.raises(IntegrityError) as caught:
        database.write(twice)
    assert "hush" not in str(caught.value)

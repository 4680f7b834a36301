"""Which folders may hold a cloud."""

from __future__ import annotations

import os

import pytest

from gureum.lab.refusal import Refusal
from gureum.lab.state import open_state

NOBODY = 65534


@pytest.fixture
def closed(tmp_path_factory):
    """A folder that this process may not look into: root, who may look anywhere, is nobody for a while.

    Its path is short, as a state folder's has to be, in a worker of pytest-xdist too.
    """
    folder = tmp_path_factory.mktemp("lab") / "cloud"
    folder.mkdir(mode=0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    yield folder
    os.seteuid(user)
    folder.chmod(0o700)


def test_a_folder_of_another_user_is_refused_with_what_to_do(closed):
    with pytest.raises(Refusal, match=r"readable by another user only.+sudo.+--state"):
        open_state(closed)


def test_a_folder_that_is_not_there_yet_is_taken(tmp_path_factory):
    assert not open_state(tmp_path_factory.mktemp("lab") / "new").exists()

"""What a log line never shows, however it is written."""

from __future__ import annotations

import json
import logging
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gureum.foundation.log import LineFormatter
from gureum.foundation.redact import redact, redact_unknown_path

SECRET = 'hush "quoted" \\ and, spaced'


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"auth": {"password": SECRET}}),
        json.dumps({"user": {"name": "u", "original_password": SECRET, "password": SECRET}}),
        json.dumps({"server": {"adminPass": SECRET}}),
        str({"secret": "hushhush"}),
        "X-Auth-Token: hushhush",
        "GET /v3?token=hushhush&limit=1",
        "password=hushhush",
        json.dumps({"body": json.dumps({"auth": {"password": SECRET}})}),
        '{"password": "hushhush and it is cut off',
        "user_password: hushhush",
        "X-Service-Token: hushhush",
        "Authorization: Bearer hushhush",
        'authorization: OAuth oauth_consumer_key="hush", oauth_signature="hushhush"',
        "Authorization: AWS4-HMAC-SHA256 Credential=hush/20260131/r/s3, SignedHeaders=host, Signature=hushhush",
        "GET /v1/a/c/o?temp_url_sig=hushhush&temp_url_expires=1",
        "GET /b?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=hush%2Fx&X-Amz-Signature=hushhush",
        "GET /b?X-Amz-Security-Token=hushhush&X-Amz-Expires=60",
        "GET /b?AWSAccessKeyId=k&Expires=1&Signature=hush%3D",
        "POST /v3/OS-OAUTH1/access_token?oauth_verifier=hushhush",
        "client_secret=hushhush&grant_type=client_credentials",
        str({"passcode": b"hushhush"}),
        "set-cookie: session=hushhush",
        "amqp://agent:hushhush@broker:5672/cloud cannot be reached",
        "postgresql+psycopg://u:hush@hush@db/name",
        "GET /identity/v2.0/tokens/hushhush?belongsTo=p",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nhushhush\nhush\n-----END OPENSSH PRIVATE KEY-----\n",
        "-----BEGIN RSA PRIVATE KEY-----\\nhushhush and cut off",
        json.dumps({"secret": ["hush", "hushhush"]}),
    ],
)
def test_cve_2022_0718_values_of_secret_keys_are_masked(text):
    assert "hush" not in redact(text)
    assert "***" in redact(text)


@given(st.text(alphabet=st.characters(exclude_categories=("Cs",)), min_size=1).map(lambda text: f"hush{text}hush"))
def test_cve_2022_0718_whatever_the_secret_is_made_of(secret):
    assert "hush" not in redact(json.dumps({"password": secret, "name": "u"}))


def test_a_line_has_the_request_and_a_masked_traceback():
    try:
        raise ValueError('{"password": "hush"}')
    except ValueError as error:
        record = logging.LogRecord("gureum.x", logging.ERROR, "f", 1, "it %s", ("failed",), (type(error), error, None))
    line = LineFormatter("control").format(record)
    assert line.splitlines()[0].endswith(" ERROR control gureum.x - - - it failed")
    assert "hush" not in line


TOKEN = "gAAAAABl0hush" + "hush" * 12


@pytest.mark.parametrize("text", [f"GET /{TOKEN} -> 404", f"'{TOKEN}' is no token", f"GET /x?t={TOKEN}&y=1"])
def test_a_token_is_masked_by_its_form_wherever_it_stands(text):
    assert "hush" not in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "GET /identity/v3/projects/0123456789abcdef0123456789abcdef -> 200 took=1.000ms",
        "GET /compute/v2.1/servers?limit=5&marker=9d9b59af-12d0-476d-b458-a6409e3861c7",
        "POST /identity/v3/auth/tokens -> 201 took=30.000ms",
        "server 9d9b59af-12d0-476d-b458-a6409e3861c7: place -> boot",
    ],
)
def test_what_is_no_secret_can_be_read(text):
    assert redact(text) == text


@pytest.mark.parametrize("token", ["0123456789abcdef" * 2, "0123456789ABCDEF" * 4])
def test_a_path_that_leads_nowhere_shows_no_token(token):
    assert redact_unknown_path(f"/v2.0/users/{token}/x?y={token}") == "/v2.0/users/***/x?y=***"


@pytest.mark.parametrize(
    "piece", ["token", "token=[,", 'token="', 'token=\\"', "://a:", "-----BEGIN A-----", "[a", "gAAAA "]
)
def test_no_text_takes_long(piece):
    text = piece * (8192 // len(piece))
    begun = time.process_time()
    redact(text)
    assert time.process_time() - begun < 0.1

"""Signatures of versions 2 and 4 against the examples that AWS publishes."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta

import pytest

from gureum.services.identity.ec2.signatures import Signed, Unsigned, ec2_claim, s3_claim

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
IAM = Signed(
    signature="5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
    host="iam.amazonaws.com",
    verb="GET",
    path="/",
    params={"Action": "ListUsers", "Version": "2010-05-08"},
    headers={
        "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
        "Host": "iam.amazonaws.com",
        "X-Amz-Date": "20150830T123600Z",
        "Authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request,"
        " SignedHeaders=content-type;host;x-amz-date, Signature=5d672d79",
    },
    body_hash=EMPTY,
)
MAP_REDUCE = Signed(
    signature="i91nKc4PWAt0JJIdXwz9HxZCJDdiy6cf/Mj6vPxyYIs=",
    host="elasticmapreduce.amazonaws.com",
    verb="GET",
    path="/",
    params={
        "AWSAccessKeyId": "AKIAIOSFODNN7EXAMPLE",
        "Action": "DescribeJobFlows",
        "SignatureMethod": "HmacSHA256",
        "SignatureVersion": "2",
        "Timestamp": "2011-10-03T15:19:30",
        "Version": "2009-03-31",
    },
)
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


def test_version_4():
    claim = ec2_claim(IAM, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    assert claim.holds(IAM.signature)
    assert claim.signed_at == datetime(2015, 8, 30, 12, 36)
    assert not ec2_claim(IAM, "another").holds(IAM.signature)


def test_version_2():
    claim = ec2_claim(MAP_REDUCE, SECRET)
    assert claim.holds(MAP_REDUCE.signature)
    assert claim.signed_at == datetime(2011, 10, 3, 15, 19, 30)


def test_s3_version_2():
    text = "GET\n\n\nTue, 27 Mar 2007 19:36:42 +0000\n/johnsmith/photos/puppy.jpg"
    claim = s3_claim(base64.urlsafe_b64encode(text.encode()).decode(), SECRET)
    assert claim.holds("bWq2s1WEIj+Ydj0vQ697zp+IXMU=")
    assert claim.signed_at == datetime(2007, 3, 27, 19, 36, 42)


def test_times():
    claim = ec2_claim(MAP_REDUCE, SECRET)
    for off, timely in ((0, True), (899, True), (-899, True), (901, False), (-901, False)):
        assert claim.is_timely(claim.signed_at + timedelta(seconds=off), 900) is timely


@pytest.mark.parametrize("end", ["2011-10-03T15:00:00Z", "2011-10-03T20:00:00Z"])
def test_an_end_may_be_an_hour_away_and_not_past(end):
    params = {k: v for k, v in MAP_REDUCE.params.items() if k != "Timestamp"} | {"Expires": end}
    claim = ec2_claim(Signed("x", "h", "GET", "/", params), SECRET)
    assert not claim.is_timely(datetime(2011, 10, 3, 15, 19), 900)


@pytest.mark.parametrize(
    "request_",
    [
        Signed("x"),
        Signed("x", params={"SignatureVersion": "1"}),
        Signed("x", params={**MAP_REDUCE.params, "SignatureMethod": "MD5"}),
        Signed("x", params={**MAP_REDUCE.params, "Timestamp": "then"}),
        Signed("x", path="/\n", params=MAP_REDUCE.params),
        Signed("x", headers={**IAM.headers, "X-Amz-Date": "20150831T123600Z"}),
        Signed("x", headers={**IAM.headers, "X-Amz-Date": "now"}),
        Signed("x", headers={"Authorization": "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=c"}),
        Signed("x", headers={**IAM.headers, "Authorization": "AWS4-HMAC-SHA256"}),
    ],
)
def test_what_is_no_signed_request(request_):
    with pytest.raises(Unsigned):
        ec2_claim(request_, SECRET)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "GET\n\n\nnever\n/a",
        "AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/iam/aws4_request\nabc",
        "AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/s3",
        "AWS4-HMAC-SHA256",
    ],
)
def test_what_is_no_signed_text_of_s3(text):
    with pytest.raises(Unsigned):
        s3_claim(base64.urlsafe_b64encode(text.encode()).decode(), SECRET)

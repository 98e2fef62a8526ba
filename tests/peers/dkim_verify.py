#!/usr/bin/python3
"""Verifies DKIM and ARC by dkimpy. Reads {"records": {name: text}, "messages": [base64]} and writes, for each message,
{"dkim": [[domain, selector, algorithm, whether it verifies], ...], "arc": cv}."""
import base64
import json
import sys

import dkim

asked = json.load(sys.stdin)
records = {name + ".": text.encode() for name, text in asked["records"].items()}


def look_up(name, timeout=5):
    return records.get(name.decode() if isinstance(name, bytes) else name)


told = []
for message in map(base64.b64decode, asked["messages"]):
    verifier = dkim.DKIM(message)
    signatures = [value for name, value in verifier.headers if name.lower() == b"dkim-signature"]
    found = []
    for place, value in enumerate(signatures):
        tags = dkim.parse_tag_value(value)
        try:
            good = dkim.DKIM(message).verify(place, dnsfunc=look_up)
        except dkim.DKIMException as fault:
            good = str(fault)
        found.append([tags.get(tag, b"").decode() for tag in (b"d", b"s", b"a")] + [good])
    chain, _, why = dkim.ARC(message).verify(dnsfunc=look_up)
    told.append({"dkim": found, "arc": chain.decode() if chain else "ended", "why": str(why)})
json.dump(told, sys.stdout)

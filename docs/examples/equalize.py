#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Equalizes an image with histod, in both ways: at once, and as a stored job.

    HISTOD_URL=http://127.0.0.1:8080 HISTOD_TOKEN_FILE=~/.local/state/histod/token \
        python3 equalize.py IN OUT_AT_ONCE OUT_BY_JOB
"""
import hashlib
import os
import sys
import time
import uuid

import requests

URL = os.environ.get("HISTOD_URL", "http://127.0.0.1:8080")
TOKEN_FILE = os.environ.get("HISTOD_TOKEN_FILE", "~/.local/state/histod/token")
OPTIONS = {"rule": "exact", "color": "gray"}


def open_session():
    """A session that sends the token: the last word but one or two of a line "ROLE TOKEN [NAME]", or a bare token."""
    with open(os.path.expanduser(TOKEN_FILE), encoding="ascii") as file:
        lines = [line.split("#")[0].split() for line in file]
    words = next(line for line in lines if line and line[0] != "read")
    session = requests.Session()
    session.headers["Authorization"] = "Bearer " + (words[0] if len(words) == 1 else words[1])
    return session


def checked(response):
    """The response, or an exception that says what histod found wrong (RFC 9457)."""
    if response.status_code >= 400:
        problem = response.json()
        raise RuntimeError(f"{problem['status']} {problem['title']}: {problem.get('detail', '')}"
                           f" (value {problem.get('value', '-')}, limit {problem.get('limit', '-')})")
    return response


def expected_digest(session, image):
    """The digest of the table that /v1/histogram shows for this image. Right for 8 bit and one table (OPTIONS see to that)."""
    answer = checked(session.post(f"{URL}/v1/histogram", params=OPTIONS, data=image)).json()
    if answer["depth"] != 8 or len(answer["planes"]) != 1:
        return answer["lut_digest"]
    return "sha-256=" + hashlib.sha256(bytes(answer["planes"][0]["lut"])).hexdigest()


def equalize_at_once(session, image):
    response = checked(session.post(f"{URL}/v1/equalize", params=OPTIONS, data=image, timeout=300))
    return response.content, response.headers["Histod-Lut-Digest"]


def submit(session, image, key):
    """Tries until the daemon has said that it stored the job. The key makes sure that it is stored once, even when the
    answer to an earlier try was lost."""
    for delay_s in (0.5, 1, 2, 4, None):
        try:
            response = session.post(f"{URL}/v1/jobs", params=OPTIONS, data=image, headers={"Idempotency-Key": key}, timeout=60)
            if response.status_code != 503 or delay_s is None:
                return checked(response).json()
            delay_s = float(response.headers.get("Retry-After", delay_s))
        except requests.ConnectionError:
            if delay_s is None:
                raise
        time.sleep(delay_s)


def equalize_by_job(session, image):
    job = submit(session, image, str(uuid.uuid4()))
    while job["state"] in ("queued", "running"):
        time.sleep(0.1)
        job = checked(session.get(f"{URL}/v1/jobs/{job['id']}", timeout=60)).json()
    if job["state"] != "done":
        raise RuntimeError(f"job {job['id']} is {job['state']}: {job.get('error', {}).get('detail', '')}")
    response = checked(session.get(f"{URL}/v1/jobs/{job['id']}/result", timeout=60))
    return job["id"], response.content, response.headers["Histod-Lut-Digest"]


def save(path, content):
    with open(path, "wb") as file:
        file.write(content)


def main(source, at_once, by_job):
    session = open_session()
    with open(source, "rb") as file:
        image = file.read()
    digest = expected_digest(session, image)
    result, first_digest = equalize_at_once(session, image)
    save(at_once, result)
    print(f"at once: {len(result)} bytes, table {first_digest}")
    job_id, result, second_digest = equalize_by_job(session, image)
    save(by_job, result)
    print(f"by job {job_id}: {len(result)} bytes, table {second_digest}")
    if not digest == first_digest == second_digest:
        raise RuntimeError(f"the tables differ: {digest}, {first_digest}, {second_digest}")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(print(__doc__, file=sys.stderr) or 2)
    try:
        main(*sys.argv[1:])
    except (RuntimeError, OSError) as error:
        sys.exit(f"equalize.py: {error}")

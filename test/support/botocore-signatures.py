"""Signs requests with botocore: JSON cases on stdin, their signatures in the same order as JSON on stdout.

A case has service, method, url, headers (names and values), body, expires (None: in the headers) and form (s3 or general).
"""
import datetime
import json
import re
import sys

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

given = json.load(sys.stdin)
now = datetime.datetime.fromisoformat(given["date"])
botocore.auth.get_current_datetime = lambda *_, **__: now
credentials = Credentials(given["accessKeyId"], given["secretAccessKey"], given.get("sessionToken"))


def signature(case):
    request = AWSRequest(case["method"], case["url"], dict(case["headers"]), case.get("body"))
    kind = "S3SigV4" if case["form"] == "s3" else "SigV4"
    arguments = [credentials, case["service"], given["region"]]
    if case.get("expires") is not None:
        signer = getattr(botocore.auth, f"{kind}QueryAuth")(*arguments, expires=case["expires"])
        signer.add_auth(request)
        return re.search(r"X-Amz-Signature=(\w+)", request.url)[1]
    if case["form"] == "s3":
        request.context["payload_signing_enabled"] = True
        request.context["client_config"] = None
    getattr(botocore.auth, f"{kind}Auth")(*arguments).add_auth(request)
    return re.search(r"Signature=(\w+)", request.headers["Authorization"])[1]


json.dump([signature(case) for case in given["cases"]], sys.stdout)

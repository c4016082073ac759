# tink-aead.py encrypt|decrypt: reads a JSON object from standard input, writes the result as base64.
# { kek, endpoint, credentials, data, associatedData }: the last two as base64; tink-py judges with its own clients.
import base64
import json
import sys

import boto3
import hvac
from tink import aead
from tink.integration import awskms, hcvault

aead.register()
given = json.load(sys.stdin)
scheme, rest = given["kek"].split("://", 1)
if scheme == "aws-kms":
    client = boto3.client(
        "kms",
        region_name=rest.split(":")[3],
        endpoint_url=given["endpoint"],
        aws_access_key_id=given["credentials"]["accessKeyId"],
        aws_secret_access_key=given["credentials"]["secretAccessKey"],
    )
    kek = awskms.new_client(boto3_client=client).get_aead(given["kek"])
else:
    client = hvac.Client(url=given["endpoint"], token=given["token"], verify=given.get("ca", True))
    kek = hcvault.new_aead(rest.split("/", 1)[1], client)

data, associated_data = (base64.b64decode(given[name]) for name in ("data", "associatedData"))
print(base64.b64encode(getattr(kek, sys.argv[1])(data, associated_data)).decode())

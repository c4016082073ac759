"""Does with Tink's library for Python what a list of requests says: JSON on standard input, answers on standard output.

Bytes are base64. A request that Tink refuses is answered {"refused": <the error>}.
"""

import base64
import json
import sys

import boto3
import tink
from tink import aead, mac, secret_key_access
from tink.integration import awskms
from tink.proto import common_pb2, hmac_pb2, tink_pb2
from tink.testing import fake_kms

aead.register()
mac.register()
HMAC = "type.googleapis.com/google.crypto.tink.HmacKey"


def decoded(text):
    return base64.b64decode(text or "", validate=True)


def encoded(data):
    return base64.b64encode(data).decode()


def kek(request):
    """The AEAD of a KEK's URI; AWS KMS is at `endpoint`."""
    uri = request["kek"]
    if uri.startswith("fake-kms://"):
        return fake_kms.FakeKmsClient(uri).get_aead(uri)
    client = boto3.client(
        "kms",
        region_name=uri.split(":")[4],
        endpoint_url=request["endpoint"],
        aws_access_key_id=request["accessKeyId"],
        aws_secret_access_key=request["secretAccessKey"],
    )
    return awskms.new_client(boto3_client=client, key_uri=uri).get_aead(uri)


def new_kek(request):
    """A URI of the fake KMS with a new key in it."""
    handle = tink.new_keyset_handle(getattr(aead.aead_key_templates, request["template"]))
    keyset = tink.proto_keyset_format.serialize(handle, secret_key_access.TOKEN)
    return {"kek": "fake-kms://" + base64.urlsafe_b64encode(keyset).decode().rstrip("=")}


def hmac_key(value, hash="SHA256", tag=32):
    params = hmac_pb2.HmacParams(hash=common_pb2.HashType.Value(hash), tag_size=tag)
    return hmac_pb2.HmacKey(params=params, key_value=value)


def keyset(keys, primary):
    """A keyset of these keys, each an HMAC key's value or a key template of Tink's."""
    result = tink_pb2.Keyset(primary_key_id=primary)
    for each in keys:
        key = result.key.add()
        if "template" in each:
            family = mac.mac_key_templates if each["template"].startswith("HMAC") else aead.aead_key_templates
            handle = tink.new_keyset_handle(getattr(family, each["template"]))
            made = tink.proto_keyset_format.serialize(handle, secret_key_access.TOKEN)
            key.CopyFrom(tink_pb2.Keyset.FromString(made).key[0])
        else:
            value = hmac_key(decoded(each["value"]), each.get("hash", "SHA256"), each.get("tag", 32))
            key.key_data.type_url = HMAC
            key.key_data.value = value.SerializeToString()
            key.key_data.key_material_type = tink_pb2.KeyData.SYMMETRIC
            key.output_prefix_type = tink_pb2.OutputPrefixType.Value(each.get("prefix", "RAW"))
        key.key_id = each["id"]
        key.status = tink_pb2.KeyStatusType.Value(each.get("status", "ENABLED"))
        if each.get("status") == "DESTROYED":
            key.ClearField("key_data")
    return result


def seal(request):
    """A keyset, encrypted: written by Tink itself where it takes it, and else as Tink would write it."""
    made = keyset(request["keys"], request["primary"])
    data = made.SerializeToString()
    key, associated = kek(request), decoded(request.get("associatedData"))
    answer = {"keyset": encoded(data)}
    try:
        handle = tink.proto_keyset_format.parse(data, secret_key_access.TOKEN)
        answer["json"] = tink.json_proto_keyset_format.serialize_encrypted(handle, key, associated)
        binary = tink.proto_keyset_format.serialize_encrypted(handle, key, associated)
    except tink.TinkError as error:
        answer["refused"] = str(error)
        binary = tink_pb2.EncryptedKeyset(encrypted_keyset=key.encrypt(data, associated)).SerializeToString()
    return answer | {"binary": encoded(binary)}


def make_mac(request):
    """Opens an encrypted keyset and makes a MAC with it."""
    key, associated = kek(request), decoded(request.get("associatedData"))
    if "json" in request:
        handle = tink.json_proto_keyset_format.parse_encrypted(request["json"], key, associated)
    else:
        handle = tink.proto_keyset_format.parse_encrypted(decoded(request["binary"]), key, associated)
    info = handle.keyset_info()
    made = handle.primitive(mac.Mac).compute_mac(decoded(request["message"]))
    return {"mac": encoded(made), "primary": info.primary_key_id, "keys": len(info.key_info)}


def decrypt(request):
    """The cleartext keyset in a binary encrypted one, by Tink's protobuf library."""
    parsed = tink_pb2.EncryptedKeyset.FromString(decoded(request["binary"]))
    return {"keyset": encoded(kek(request).decrypt(parsed.encrypted_keyset, decoded(request.get("associatedData"))))}


def answered(request):
    try:
        return {"newKek": new_kek, "seal": seal, "mac": make_mac, "decrypt": decrypt}[request["do"]](request)
    except tink.TinkError as error:
        return {"refused": str(error)}


print(json.dumps([answered(request) for request in json.load(sys.stdin)]))

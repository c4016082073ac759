# moto's server with the calls of KMS that it lacks, by which key material is imported, and with what comes of it: a key
# that waits for its material makes no MACs, and takes the same material again but no other.
# Unwrapping is done by the Python package `cryptography`.
import base64
import json
import sys

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from moto.kms.exceptions import JsonRESTError, ValidationException
from moto.kms.models import KmsBackend
from moto.kms.responses import KmsResponse
from moto.server import main

wrapping_keys = {}
materials = {}


def key_of(response):
    backend = response.kms_backend
    return backend.keys[backend.any_id_to_key_id(response._get_param("KeyId"))]


def get_parameters_for_import(self):
    key = key_of(self)
    if key.origin != "EXTERNAL":
        raise JsonRESTError("UnsupportedOperationException", "origin is not EXTERNAL")
    if self._get_param("WrappingAlgorithm") != "RSAES_OAEP_SHA_256" or self._get_param("WrappingKeySpec") != "RSA_4096":
        raise ValidationException("wrapping algorithm or key spec")
    wrapping = rsa.generate_private_key(public_exponent=65537, key_size=4096)
    token = f"token for {key.id}"
    wrapping_keys[token] = wrapping
    public = wrapping.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return json.dumps(
        {
            "KeyId": key.arn,
            "ImportToken": base64.b64encode(token.encode()).decode(),
            "PublicKey": base64.b64encode(public).decode(),
            "ParametersValidTo": 4102444800,
        }
    )


def import_key_material(self):
    key = key_of(self)
    wrapping = wrapping_keys.pop(base64.b64decode(self._get_param("ImportToken")).decode(), None)
    if wrapping is None:
        raise JsonRESTError("InvalidImportTokenException", "")
    if self._get_param("ExpirationModel") != "KEY_MATERIAL_DOES_NOT_EXPIRE":
        raise ValidationException("expiration model")
    oaep = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
    try:
        material = wrapping.decrypt(base64.b64decode(self._get_param("EncryptedKeyMaterial")), oaep)
    except ValueError as error:
        raise JsonRESTError("InvalidCiphertextException", "") from error
    if materials.setdefault(key.id, material) != material:
        raise JsonRESTError("IncorrectKeyMaterialException", "other material than before")
    key.key_material = material
    key.key_state = "Enabled"
    return json.dumps({"KeyId": key.arn})


def delete_imported_key_material(self):
    key = key_of(self)
    key.key_material = b""
    key.key_state = "PendingImport"
    return json.dumps({"KeyId": key.arn})


def create_key(self, *args, **kwargs):
    key = original_create_key(self, *args, **kwargs)
    if key.origin == "EXTERNAL":
        key.key_state = "PendingImport"
    return key


def generate_mac(self, message, key_id, *args, **kwargs):
    key = self.keys[self.any_id_to_key_id(key_id)]
    if key.key_usage == "GENERATE_VERIFY_MAC" and key.key_state == "PendingImport":
        raise JsonRESTError("KMSInvalidStateException", f"{key.arn} is pending import.")
    return original_generate_mac(self, message, key_id, *args, **kwargs)


original_create_key = KmsBackend.create_key
original_generate_mac = KmsBackend.generate_mac
KmsBackend.create_key = create_key
KmsBackend.generate_mac = generate_mac
KmsResponse.get_parameters_for_import = get_parameters_for_import
KmsResponse.import_key_material = import_key_material
KmsResponse.delete_imported_key_material = delete_imported_key_material
sys.exit(main())

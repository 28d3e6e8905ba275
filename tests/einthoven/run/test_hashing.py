"""Hashes depend on content, not on the order of keys."""

from hashlib import sha256

from einthoven.run.hashing import hash_file, hash_json


def test_order_of_keys_does_not_matter_and_content_does():
    assert hash_json({"a": 1, "b": [2, None]}) == hash_json({"b": [2, None], "a": 1})
    assert hash_json({"a": 1}) != hash_json({"a": 1.5})


def test_file_hash_is_sha256_of_its_bytes(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"ecg\n" * 1000)
    assert hash_file(path) == sha256(b"ecg\n" * 1000).hexdigest()

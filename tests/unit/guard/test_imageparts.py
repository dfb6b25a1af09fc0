"""Parts of an image do not tell of others."""

from hostadmin.guard.rules.imageparts import hide_others


def test_manifests_and_identity_are_cut_to_the_caller():
    image = {
        "Id": "sha256:a",
        "Identity": {"Signature": [{"Name": "s"}], "Pull": [{"Repository": "registry/private"}], "Build": [{"Ref": "x"}]},
        "Manifests": [
            {"ID": "m", "ImageData": {"Containers": ["mine", "theirs"], "Identity": {"Pull": [{"Repository": "registry/private"}]}}},
            {"ID": "n", "AttestationData": {"For": "m"}},
            {"ID": "o", "ImageData": {"Containers": None}},
        ],
    }
    hide_others(image, {"mine"})
    assert image == {
        "Id": "sha256:a",
        "Identity": {"Signature": [{"Name": "s"}]},
        "Manifests": [
            {"ID": "m", "ImageData": {"Containers": ["mine"], "Identity": {}}},
            {"ID": "n", "AttestationData": {"For": "m"}},
            {"ID": "o", "ImageData": {"Containers": []}},
        ],
    }


def test_an_image_of_an_older_engine_stays_as_it_is():
    image = {"Id": "sha256:a", "RepoTags": ["x:1"]}
    hide_others(image, set())
    assert image == {"Id": "sha256:a", "RepoTags": ["x:1"]}

"""Who is held out: subjects that are named, published or drawn."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from pose_views import make_views

from mpm_keras.data.protocols import OPEN_MOCAP_PROTOCOL
from mpm_keras.data.sources import SourceOptions, load_splits, load_views, protocol_for
from mpm_keras.errors import InputError

pytestmark = pytest.mark.numpy_only
ALL = ("train", "validation", "test")


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "views.npz"
    make_views((3,) * 20, subjects=[f"s{i // 2}" for i in range(20)]).save(path)
    return path


def split(archive, validation=(), test=(), splits=ALL):
    found = load_splits([archive], SourceOptions(validation_subjects=validation, test_subjects=test), splits)
    return {name: {s for views in found[name] for s in views.subjects} for name in found}


def test_named_subjects_are_held_out(archive):
    found = split(archive, ("s1",), ("s2", "s3"))
    assert found["validation"] == {"s1"} and found["test"] == {"s2", "s3"} and len(found["train"]) == 7


def test_validation_is_drawn_beside_named_test_subjects(archive):
    found = split(archive, test=("s2", "s3"))
    assert found["test"] == {"s2", "s3"} and len(found["validation"]) == 1 and len(found["train"]) == 7
    assert not found["validation"] & found["test"]


def test_named_validation_leaves_no_test(archive):
    with pytest.raises(InputError, match="no clip for test; name --test_subjects or use --split=validation"):
        split(archive, ("s1",))


def test_unknown_and_doubled_subjects_are_refused(archive):
    with pytest.raises(InputError, match="no subject 'x'; found s0, s1, s2"):
        split(archive, ("s1",), ("s2", "x"))
    with pytest.raises(InputError, match="'s1' is named both"):
        split(archive, ("s1",), ("s1",))


def test_naming_one_group_keeps_the_published_other():
    everyone = ("cmu01", *OPEN_MOCAP_PROTOCOL.validation, *OPEN_MOCAP_PROTOCOL.test)
    source = SimpleNamespace(dataset="open_mocap", subjects=everyone)

    def protocol(validation=(), test=()):
        return protocol_for(source, SourceOptions(validation_subjects=validation, test_subjects=test))

    assert protocol() == OPEN_MOCAP_PROTOCOL
    assert protocol(validation=("cmu01",)).test == OPEN_MOCAP_PROTOCOL.test
    assert protocol(test=("cmu01",)).validation == OPEN_MOCAP_PROTOCOL.validation
    taken = OPEN_MOCAP_PROTOCOL.test[0]
    assert protocol(validation=(taken,)).split_of(taken) == "validation"


def test_published_splits_go_by_the_subjects_that_are_there(tmp_path):
    path = tmp_path / "h36m.npz"
    subjects = ("S1", "S1", "S5", "S8", "S9", "S11")
    dataclasses.replace(make_views((3,) * 6, subjects=subjects), dataset="h36m").save(path)
    splits = load_splits([path], SourceOptions(), ("train", "validation", "test"))
    assert [views[0].subjects for views in splits.values()] == [("S1", "S1", "S5"), ("S8",), ("S9", "S11")]
    views = make_views((3,) * 5, subjects=("S1", "S5", "S6", "S9", "S11"))
    dataclasses.replace(views, dataset="h36m").save(path)  # without S8 one of those that train validates
    splits = load_splits([path], SourceOptions(), ("train", "validation", "test"))
    assert splits["test"][0].subjects == ("S9", "S11") and len(splits["validation"][0].subjects) == 1
    assert {"S1", "S5", "S6"} == {*splits["train"][0].subjects, *splits["validation"][0].subjects}


def test_all_clips_whoever_their_subjects(archive):
    views = load_views([archive], SourceOptions(skeleton="h36m16"))
    assert views[0].num_views == 20 and views[0].skeleton.name == "h36m16"
    np.testing.assert_array_equal(views[0].lengths, 3)
    with pytest.raises(InputError, match="no data"):
        load_views([], SourceOptions())

"""SMPL forward kinematics: poses known by hand, and a body model of our own in the layout of the files."""

import pickle

import numpy as np
import pytest
from fuzzing import CASES, fuzz

from mpm_keras.data.smpl import JOINTS, MEAN_BODY, PARENTS, forward, load_body_model
from mpm_keras.errors import InputError
from mpm_keras.skeletons import H36M_17

pytestmark = pytest.mark.numpy_only
J = {name: i for i, name in enumerate(H36M_17.joints)}
S = {name: i for i, name in enumerate(JOINTS)}


def body_arrays(joints=52, seed=0, betas=16) -> dict:
    """A body of few vertices: one at each joint, a nose, a crown and some skin between them."""
    rng = np.random.default_rng(seed)
    extra = joints - len(JOINTS)
    places = MEAN_BODY.template[: len(JOINTS)]
    fingers = places[-1] + rng.normal(0, 0.05, (extra, 3))
    skin = rng.normal(0, 0.01, (20, 3)) + places[S["spine1"]]
    vertices = np.concatenate([places, fingers, MEAN_BODY.template[len(JOINTS) :], skin])
    count = len(vertices)
    regressor = np.zeros((joints, count))
    regressor[:, :joints] = np.eye(joints)
    weights = np.zeros((count, joints))
    weights[:joints] = np.eye(joints)
    weights[joints, S["head"]], weights[joints, S["neck"]] = 0.75, 0.25  # the nose follows two joints
    weights[joints + 1, S["head"]] = 1
    weights[joints + 2 :, S["spine1"]] = 1
    parents = [2**32 - 1, *PARENTS[1:], *[S["right_wrist"]] * extra]
    return {
        "J_regressor": regressor,
        "v_template": vertices,
        "shapedirs": rng.normal(0, 0.01, (count, 3, betas)),
        "kintree_table": np.array([parents, range(joints)], np.int64),
        "weights": weights,
        "posedirs": np.zeros((count, 3, 9)),
    }


def write_body(path, **changes):
    arrays = {**body_arrays(), **changes}
    arrays = {key: value for key, value in arrays.items() if value is not None}
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".pkl":
        path.write_bytes(pickle.dumps(arrays))
    else:
        np.savez(path, **arrays)
    return path


def rodrigues(vector):
    """(3, 3) by the series of the matrix exponential: slow, and another formula than the library's."""
    x, y, z = vector
    k, term, total = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]), np.eye(3), np.eye(3)
    for n in range(1, 40):
        term = term @ k / n
        total = total + term
    return total


def skinned(arrays, rotations, betas, trans):
    """Linear blend skinning of all vertices with 4 x 4 matrices, joint by joint. Returns (vertices, joints)."""
    vertices = arrays["v_template"] + arrays["shapedirs"][:, :, : len(betas)] @ betas
    rest = arrays["J_regressor"] @ vertices
    matrices = []
    for joint, (parent, rotation) in enumerate(zip(arrays["kintree_table"][0], rotations, strict=True)):
        local = np.eye(4)
        local[:3, :3] = rodrigues(rotation)
        local[:3, 3] = rest[joint] - (0 if joint == 0 else rest[parent])
        matrices.append(local if joint == 0 else matrices[parent] @ local)
    relative = [m @ np.block([[np.eye(3), -rest[j][:, None]], [np.zeros((1, 3)), 1]]) for j, m in enumerate(matrices)]
    blended = np.einsum("vk,kij->vij", arrays["weights"], np.stack(relative))
    posed = np.einsum("vij,vj->vi", blended, np.column_stack([vertices, np.ones(len(vertices))]))[:, :3]
    return posed + trans, np.stack([m[:3, 3] for m in matrices]) + trans


def test_forward_is_linear_blend_skinning(tmp_path):
    model, arrays = load_body_model(write_body(tmp_path / "model.npz")), body_arrays()
    rng = np.random.default_rng(1)
    rotations, trans = rng.normal(0, 0.6, (3, 52, 3)), rng.normal(size=(3, 3))
    betas = rng.normal(size=16)
    found = forward(model, rotations.reshape(3, -1), betas, trans)
    for f in range(3):
        vertices, joints = skinned(arrays, rotations[f], betas, trans[f])
        for ours, theirs in (
            ("LWrist", "left_wrist"),
            ("RFoot", "right_ankle"),
            ("Thorax", "neck"),
            ("Spine", "spine2"),
        ):
            np.testing.assert_allclose(found[f, J[ours]], joints[S[theirs]], atol=1e-10)
        np.testing.assert_allclose(found[f, J["Hip"]], joints[[S["left_hip"], S["right_hip"]]].mean(0), atol=1e-10)
        np.testing.assert_allclose(found[f, J["Neck/Nose"]], vertices[52], atol=1e-10)
        np.testing.assert_allclose(found[f, J["Head"]], vertices[53], atol=1e-10)


def test_one_bent_elbow():
    """A quarter turn of the left elbow about the vertical swings the forearm from the side to the front."""
    rotations = np.zeros((1, 66))
    straight = forward(MEAN_BODY, rotations, np.zeros(0), np.zeros((1, 3)))[0]
    rotations[0, 3 * S["left_elbow"] + 1] = -np.pi / 2
    bent = forward(MEAN_BODY, rotations, np.zeros(0), np.zeros((1, 3)))[0]
    np.testing.assert_allclose(straight[J["LWrist"]] - straight[J["LElbow"]], [0.25, 0, 0], atol=1e-12)
    np.testing.assert_allclose(bent[J["LWrist"]] - bent[J["LElbow"]], [0, 0, 0.25], atol=1e-12)
    others = [j for j in range(17) if j != J["LWrist"]]
    np.testing.assert_allclose(bent[others], straight[others], atol=1e-12)


def test_the_mean_body_is_a_plausible_adult():
    pose = forward(MEAN_BODY, np.zeros((1, 66)), np.zeros(3), np.zeros((1, 3)))[0]
    height = pose[J["Head"], 1] - pose[J["LFoot"], 1] + 0.066  # the ankle joint is 0.039 statures up
    assert 1.68 < height < 1.72
    np.testing.assert_allclose(pose[H36M_17.flip_order] * [-1, 1, 1], pose, atol=1e-12)

    def bone(a, b):
        return np.linalg.norm(pose[J[a]] - pose[J[b]])

    # Ranges that optical motion capture of adults shows.
    for a, b, low, high in (
        ("LHip", "LKnee", 0.34, 0.46), ("LKnee", "LFoot", 0.39, 0.49), ("LShoulder", "LElbow", 0.24, 0.33),
        ("LElbow", "LWrist", 0.17, 0.28), ("Hip", "Spine", 0.2, 0.35), ("Spine", "Thorax", 0.2, 0.35),
        ("LShoulder", "RShoulder", 0.32, 0.42), ("LHip", "RHip", 0.14, 0.21), ("Thorax", "Head", 0.2, 0.3),
    ):  # fmt: skip
        assert low < bone(a, b) < high, (a, b, bone(a, b))


@pytest.mark.parametrize("joints", [24, 52, 55])
def test_smpl_and_its_relatives(tmp_path, joints):
    np.savez(tmp_path / "model.npz", **body_arrays(joints))
    model = load_body_model(tmp_path / "model.npz")
    np.testing.assert_allclose(model.template, MEAN_BODY.template, atol=1e-12)
    np.testing.assert_allclose(model.weights.sum(axis=1), 1)


def test_plain_pickles_are_read(tmp_path):
    ours, theirs = (load_body_model(write_body(tmp_path / name)) for name in ("a.npz", "a.pkl"))
    np.testing.assert_array_equal(ours.directions, theirs.directions)


@pytest.mark.parametrize("name", ["a.npz", "a.pkl"])
def test_sparse_arrays_are_refused_with_advice(tmp_path, name):
    from scipy.sparse import csc_matrix

    path = write_body(tmp_path / name, J_regressor=csc_matrix(body_arrays()["J_regressor"]))
    with pytest.raises(InputError, match=r"scipy\.sparse.* dense arrays with numpy\.savez") as raised:
        load_body_model(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"weights": None}, "'weights' is missing"),
        ({"v_template": np.zeros((4, 3))}, "J_regressor: expected shape"),
        ({"v_template": np.zeros((74, 3))}, "no vertex above the head joint"),
        ({"kintree_table": np.zeros((2, 52), np.int64)}, "not those of SMPL"),
        ({"weights": np.zeros((74, 52))}, "follow no joint"),
        ({"shapedirs": np.full((74, 3, 16), np.nan)}, "NaN"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, changes, message):
    for name in ("model.npz", "model.pkl"):
        path = write_body(tmp_path / name, **changes)
        with pytest.raises(InputError, match=message) as raised:
            load_body_model(path)
        assert str(path) in str(raised.value)


@pytest.mark.parametrize("name", ["model.npz", "model.pkl"])
def test_damaged_files(tmp_path, name):
    assert fuzz(load_body_model, write_body(tmp_path / name)) > CASES / 4

"""The ASF/AMC reader: rotations known by hand, every way a pair can be broken, and a real walk."""

import time

import numpy as np
import pytest

from mpm_keras.data.acclaim import euler, read_acclaim
from mpm_keras.data.bvh import read_bvh
from mpm_keras.data.motion import resample
from mpm_keras.data.open_mocap import read_open_mocap
from mpm_keras.errors import InputError
from mpm_keras.skeletons import H36M_17

pytestmark = pytest.mark.numpy_only

J = {name: i for i, name in enumerate(H36M_17.joints)}

# A T-pose in centimetres, y up, facing +z, left towards +x: bone -> (parent, way, axis, dof).
BONES = {
    "lowerback": ("root", (0, 15, 0), "0 0 0", "rx ry rz"),
    "upperback": ("lowerback", (0, 15, 0), "0 0 0", "rx ry rz"),
    "thorax": ("upperback", (0, 15, 0), "0 0 0", "rx ry rz"),
    "lowerneck": ("thorax", (0, 8, 0), "0 0 0", "rx ry rz"),
    "upperneck": ("lowerneck", (0, 8, 0), "0 0 0", "rx ry rz"),
    "head": ("upperneck", (0, 9, 0), "0 0 0", ""),
    **{
        side + bone: (side + parent if parent not in ("root", "thorax") else parent, (sign * x, y, z), axis, dof)
        for side, sign in (("l", 1), ("r", -1))
        for bone, parent, (x, y, z), axis, dof in (
            ("hipjoint", "root", (9, -5, 0), "0 0 0", ""), ("femur", "hipjoint", (0, -42, 0), "0 0 0", "rx ry rz"),
            ("tibia", "femur", (0, -41, 0), "0 0 0", "rx"), ("foot", "tibia", (0, -6, 13), "0 0 0", "rx rz"),
            ("clavicle", "thorax", (18, -2, 0), "0 0 0", "ry rz"),
            ("humerus", "clavicle", (28, 0, 0), "0 0 0", "rz rx"), ("radius", "humerus", (20, 0, 0), "0 0 90", "rx"),
        )
    },
}  # fmt: skip


def asf_text(bones=BONES, length="2.54", root="order TX TY TZ RX RY RZ\naxis XYZ\nposition 0 0 0\norientation 0 0 0"):
    """`length 2.54` makes the unit a centimetre."""
    lines = [
        "# a comment",
        ":version 1.10",
        f":units\n mass 1.0\n length {length}\n angle deg",
        f":root\n{root}",
        ":bonedata",
    ]
    for i, (name, (_, way, axis, dof)) in enumerate(bones.items()):
        size = np.linalg.norm(way)
        direction = " ".join(f"{w / size:.9f}" for w in way)
        lines.append(f"begin\n id {i + 1}\n name {name}\n direction {direction}\n length {size:.9f}\n axis {axis} XYZ")
        lines += [f" dof {dof}\n limits (-1 1)\n (-2 2)"] if dof else []
        lines.append("end")
    lines.append(":hierarchy\nbegin")
    for parent in ("root", *bones):
        children = [name for name, (above, *_) in bones.items() if above == parent]
        lines += [f" {parent} {' '.join(children)}"] if children else []
    return "\n".join([*lines, "end", ""])


def amc_text(frames=({},)):
    lines = ["# a comment", ":FULLY-SPECIFIED", ":DEGREES"]
    for number, frame in enumerate(frames, 1):
        lines += [str(number), f"root {frame.get('root', '0 97 0 0 0 0')}"]
        for name, (*_, dof) in BONES.items():
            lines += [f"{name} {frame.get(name, ' '.join('0' * len(dof.split())))}"] if dof else []
    return "\n".join([*lines, ""])


def read_texts(tmp_path, asf=None, amc=None, **options):
    for name, text in (("s.asf", asf_text() if asf is None else asf), ("s_01.amc", amc_text() if amc is None else amc)):
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_acclaim(tmp_path / "s.asf", tmp_path / "s_01.amc", **options)


def test_t_pose_in_the_world_frame(tmp_path):
    motion = read_texts(tmp_path)
    assert motion.names == ("s_01",) and motion.fps.tolist() == [120]
    # Toes 3 cm above the floor, ankles 9; the wrist is 1.25 radius bones from the elbow.
    expected = {
        "Hip": (0, 0, 0.92), "LHip": (0, 0.09, 0.92), "RKnee": (0, -0.09, 0.50), "LFoot": (0, 0.09, 0.09),
        "Spine": (0, 0, 1.12), "Thorax": (0, 0, 1.42), "Neck/Nose": (0, 0, 1.54), "Head": (0, 0, 1.67),
        "LShoulder": (0, 0.18, 1.40), "LElbow": (0, 0.46, 1.40), "RWrist": (0, -0.71, 1.40),
    }  # fmt: skip
    for joint, position in expected.items():
        np.testing.assert_allclose(motion.clip(0)[0, J[joint]], position, atol=1e-5, err_msg=joint)


def test_one_bone_turned_by_90_degrees(tmp_path):
    frames = [{"rtibia": "90"}, {"lradius": "90"}, {"lhumerus": "90 90"}, {"root": "0 97 0 0 90 0"}]
    clip = read_texts(tmp_path, amc=amc_text(frames)).clip(0)
    shank, forearm = clip[:, J["RFoot"]] - clip[:, J["RKnee"]], clip[:, J["LWrist"]] - clip[:, J["LElbow"]]
    np.testing.assert_allclose(shank[0], [-0.41, 0, 0], atol=1e-5)  # about x: the knee bends to the back
    np.testing.assert_allclose(forearm[1], [-0.25, 0, 0], atol=1e-5)  # its own x axis is the world's y
    # dof "rz rx": about z first, which lifts the arm, then about x, which tips it to the front.
    np.testing.assert_allclose(forearm[2], [0.25, 0, 0], atol=1e-5)
    np.testing.assert_allclose(clip[3, J["LHip"]] - clip[3, 0], [-0.09, 0, 0], atol=1e-5)  # facing to the left


def test_root_order_position_and_orientation_are_honoured(tmp_path):
    plain = read_texts(tmp_path, amc=amc_text([{"root": "0 97 0 10 20 30"}, {"root": "5 97 1 0 0 0"}])).positions
    root = "order RX TY RY TX RZ TZ\naxis XYZ\nposition 0 90 0\norientation 0 0 0"
    amc = amc_text([{"root": "10 7 20 0 30 0"}, {"root": "0 7 0 5 0 1"}])
    np.testing.assert_allclose(read_texts(tmp_path, asf_text(root=root), amc).positions, plain, atol=1e-5)
    # In a frame turned by 90 degrees about y, the root's x axis is the world's -z.
    root = "order TX TY TZ RX RY RZ\naxis XYZ\nposition 0 0 0\norientation 0 90 0"
    turned = read_texts(tmp_path, asf_text(root=root), amc_text([{"root": "0 97 0 30 0 0"}])).positions
    rolled = read_texts(tmp_path, amc=amc_text([{"root": "0 97 0 0 0 -30"}])).positions
    np.testing.assert_allclose(turned, rolled, atol=1e-5)


def test_radians_equal_degrees(tmp_path):
    plain = read_texts(tmp_path, amc=amc_text([{"rtibia": "90"}])).positions
    amc = amc_text([{"rtibia": f"{np.pi / 2:.9f}"}]).replace(":DEGREES", ":RADIANS")
    np.testing.assert_allclose(read_texts(tmp_path, amc=amc).positions, plain, atol=1e-5)


def test_unit_of_length_is_found_where_the_file_is_wrong(tmp_path):
    plain = read_texts(tmp_path).positions
    np.testing.assert_allclose(read_texts(tmp_path, asf_text(length="1.0")).positions, plain, atol=1e-5)
    with pytest.raises(InputError, match=r"s\.asf: expected a person of 1\.4 to 2\.1 m"):
        small = {name: (parent, np.divide(way, 10), *rest) for name, (parent, way, *rest) in BONES.items()}
        read_texts(tmp_path, asf_text(small))


def test_euler_applies_the_first_turn_first():
    quarter = np.array([np.pi / 2])
    turn = euler([("x", quarter), ("z", quarter)])[0]
    np.testing.assert_allclose(turn @ [0, 1, 0], [0, 0, 1], atol=1e-12)  # x takes y to z, which z leaves
    np.testing.assert_allclose(turn @ [1, 0, 0], [0, 1, 0], atol=1e-12)


ASF, AMC = asf_text(), amc_text([{}, {}])
BROKEN_ASF = {
    "lacks the bones lowerback": ASF.replace("lowerback", "belly"),
    "'hierarchy' is missing": ASF.partition(":hierarchy")[0],
    "'length' is missing": ASF.replace(" length 42.0", " len 42.0", 1),
    "in the middle of a bone": ASF.replace("end\n:hierarchy", ":hierarchy"),
    "could not convert": ASF.replace("axis 0 0 90", "axis 0 0 x"),
    "NaN or infinite": ASF.replace("axis 0 0 90", "axis 0 0 nan"),
    "before it is attached": ASF.replace(" root lowerback", " root", 1),
    "unknown or already attached": ASF.replace(" root lowerback", " root lowerback upperback", 1),
    "root order": ASF.replace("order TX TY TZ", "order TX TX TZ"),
    "only rx, ry and rz": ASF.replace("dof rx ry rz", "dof rx ry l", 1),
    "begins with a colon": "hello\n",
    "'root' is missing": "",
    "binary": bytes(range(256)) * 9,
}
BROKEN_AMC = {
    "no frames": "",
    "expected a frame number": AMC.replace("\n1\n", "\n"),
    "lfoot has values in 1 of 2 frames": AMC[: AMC.rindex("lfoot")] + AMC[AMC.rindex("lclavicle") :],
    "expected 1 values for ltibia, found 2 in frame 1": AMC.replace("ltibia 0", "ltibia 0 0", 1),
    "the skeleton has no freedom for": AMC.replace("ltibia", "tail"),
    "no number": AMC.replace("ltibia 0", "ltibia o", 1),
    "ltibia has NaN or infinity in frame 2": "ltibia nan".join(AMC.rsplit("ltibia 0", 1)),
    "too large": AMC.replace("root 0 97", "root 0 1e300"),
    "expected an Acclaim text file, found binary": b"\x00\xff" * 99,
}


@pytest.mark.parametrize("message", BROKEN_ASF)
def test_bad_skeleton_is_one_line_naming_it(tmp_path, message):
    with pytest.raises(InputError, match=message) as caught:
        read_texts(tmp_path, asf=BROKEN_ASF[message])
    assert "s.asf: " in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("message", BROKEN_AMC)
def test_bad_motion_is_one_line_naming_it(tmp_path, message):
    with pytest.raises(InputError, match=message) as caught:
        read_texts(tmp_path, amc=BROKEN_AMC[message])
    assert "s_01.amc: " in str(caught.value) and "\n" not in str(caught.value)


def test_missing_files(tmp_path):
    with pytest.raises(InputError, match=r"none\.asf: no such file"):
        read_acclaim(tmp_path / "none.asf", tmp_path / "none.amc")


def test_truncated_or_damaged_files_never_fail_otherwise(tmp_path):
    rng, start = np.random.default_rng(0), time.monotonic()
    for trial in range(240):
        texts = {"asf": ASF.encode(), "amc": AMC.encode()}
        kind = ("asf", "amc")[trial // 2 % 2]
        at = int(rng.integers(len(texts[kind])))
        noise = b"" if trial % 2 else bytes(rng.integers(256, size=3)) + texts[kind][at + 3 :]
        texts[kind] = texts[kind][:at] + noise
        try:
            motion = read_texts(tmp_path, **texts)
        except InputError as error:
            assert "\n" not in str(error)
        else:
            assert np.isfinite(motion.positions).all()
    assert time.monotonic() - start < 60


@pytest.fixture(scope="module")
def real_walk(shared_data):
    folder = shared_data / "raw_samples"
    return read_acclaim(folder / "cmu_07.asf", folder / "cmu_07_01.amc")


@pytest.mark.shared
def test_real_walk_agrees_with_the_archive(shared_data, real_walk):
    archive = read_open_mocap(shared_data / "open_mocap_h36m17.npz")
    expected = archive.clip(archive.names.index("cmu/07/07_01"))
    found = resample(real_walk.clip(0), 120, 50)
    assert found.shape == expected.shape
    shift = (expected - found)[:, 0].mean(axis=0)
    assert abs(shift[2]) < 0.015, "the floor"
    assert 1000 * np.linalg.norm(found + shift - expected, axis=-1).max() < 1


@pytest.mark.shared
def test_real_walk_agrees_with_its_bvh(shared_data, real_walk):
    bvh = read_bvh(shared_data / "raw_samples" / "cmu_07_01.bvh")
    error_mm = 1000 * np.linalg.norm(bvh.clip(0) - real_walk.clip(0), axis=-1).max(axis=0)
    assert error_mm[: J["Thorax"]].max() < 0.1  # the BVH lost the thorax bone and only the guess differs
    assert error_mm.max() < 11


@pytest.mark.shared
def test_real_walk_is_a_person(real_walk):
    clip = real_walk.clip(0).astype(np.float64)
    bone = {child: np.linalg.norm(clip[:, child] - clip[:, parent], axis=-1) for parent, child in H36M_17.bones}
    assert max(1000 * bone[J[j]].std() for j in J if j[1:] in ("Hip", "Knee", "Foot", "Elbow", "Wrist")) < 1e-2
    assert 1.5 < np.median(clip[:, J["Head"], 2]) < 2
    left = (clip[:, J["LHip"]] - clip[:, J["RHip"]]).mean(axis=0)
    assert np.cross(left, [0, 0, 1]) @ (clip[-1, 0] - clip[0, 0]) > 0  # who walks forwards has left at the left

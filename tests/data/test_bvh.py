"""The BVH reader: a skeleton written here whose joints are known by hand, and real files."""

import re
import time
import warnings

import numpy as np
import pytest

from mpm_keras.data.bvh import read_bvh
from mpm_keras.data.motion import resample
from mpm_keras.data.open_mocap import read_open_mocap
from mpm_keras.errors import InputError
from mpm_keras.skeletons import H36M_17

pytestmark = pytest.mark.numpy_only

J = {name: i for i, name in enumerate(H36M_17.joints)}

# A T-pose in centimetres, y up, facing +z, left towards +x: joint -> (parent, offset). An End
# Site 18 cm further up follows where nothing else does.
MIXAMO = {
    "Hips": (None, (0, 0, 0)),
    "Spine": ("Hips", (0, 10, 0)),
    "Spine1": ("Spine", (0, 12, 0)),
    "Spine2": ("Spine1", (0, 14, 0)),
    "Neck": ("Spine2", (0, 14, 0)),
    "Head": ("Neck", (0, 10, 0)),
    **{
        side + joint: (side + parent if parent not in ("Hips", "Spine2") else parent, (sign * x, y, z))
        for side, sign in (("Left", 1), ("Right", -1))
        for joint, parent, (x, y, z) in (
            ("Shoulder", "Spine2", (5, 12, 0)), ("Arm", "Shoulder", (13, 0, 0)),
            ("ForeArm", "Arm", (28, 0, 0)), ("Hand", "ForeArm", (25, 0, 0)),
            ("UpLeg", "Hips", (9, -5, 0)), ("Leg", "UpLeg", (0, -42, 0)),
            ("Foot", "Leg", (0, -41, 0)), ("ToeBase", "Foot", (0, -6, 13)),
        )
    },
}  # fmt: skip
CLASSIC = {"Spine": "Chest", "Spine1": "Chest2", "Spine2": "Chest3"} | {
    side + old: side + new
    for side in ("Left", "Right")
    for old, new in {
        "Shoulder": "Collar", "Arm": "Shoulder", "ForeArm": "Elbow", "Hand": "Wrist",
        "UpLeg": "Hip", "Leg": "Knee", "Foot": "Ankle", "ToeBase": "Toe",
    }.items()
}  # fmt: skip


def bvh_text(frames=({},), *, tree=MIXAMO, scale=1.0, rename=str, fps=30.0) -> str:
    """A BVH file; each frame is a dict joint -> (z, x, y) degrees, and "root" -> position."""
    order, lines = [], ["HIERARCHY"]

    def write(name, depth):
        order.append(name)
        parent, offset = tree[name]
        lines.append(f"{'ROOT' if parent is None else 'JOINT'} {rename(name)}\n{{")
        lines.append("OFFSET " + " ".join(f"{scale * v:.6f}" for v in offset))
        position = "6 Xposition Yposition Zposition" if parent is None else "3"
        lines.append(f"CHANNELS {position} Zrotation Xrotation Yrotation")
        children = [child for child, (above, _) in tree.items() if above == name]
        for child in children:
            write(child, depth + 1)
        if not children:
            lines.append(f"End Site\n{{\nOFFSET 0 {18 * scale:.6f} 0\n}}")
        lines.append("}")

    write("Hips", 0)
    lines += ["MOTION", f"Frames: {len(frames)}", f"Frame Time: {1 / fps:.7f}"]
    for frame in frames:
        values = [scale * v for v in frame.get("root", (0, 95, 0))]
        values += [v for name in order for v in frame.get(name, (0, 0, 0))]
        lines.append(" ".join(f"{v:.6f}" for v in values))
    return "\n".join(lines) + "\n"


def read_text(tmp_path, text, name="clip.bvh"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_bvh(path)


def test_t_pose_in_the_world_frame(tmp_path):
    motion = read_text(tmp_path, bvh_text())
    pose = motion.clip(0)[0]
    assert motion.names == ("clip",) and motion.fps == pytest.approx([30])
    # The toes rest on the floor, 3 cm above it; the ankles are 6 cm higher.
    expected = {
        "Hip": (0, 0, 0.92), "LHip": (0, 0.09, 0.92), "RKnee": (0, -0.09, 0.50), "LFoot": (0, 0.09, 0.09),
        "Spine": (0, 0, 1.19), "Thorax": (0, 0, 1.47), "Neck/Nose": (0, 0, 1.57), "Head": (0, 0, 1.75),
        "LShoulder": (0, 0.18, 1.45), "LElbow": (0, 0.46, 1.45), "RWrist": (0, -0.71, 1.45),
    }  # fmt: skip
    for joint, position in expected.items():
        np.testing.assert_allclose(pose[J[joint]], position, atol=1e-5, err_msg=joint)


def test_one_joint_turned_by_90_degrees(tmp_path):
    frames = [{"LeftForeArm": (90, 0, 0)}, {"LeftForeArm": (0, 0, 90)}, {"RightLeg": (0, 90, 0)}]
    clip = read_text(tmp_path, bvh_text(frames)).clip(0)
    forearm = clip[:, J["LWrist"]] - clip[:, J["LElbow"]]
    np.testing.assert_allclose(forearm[0], [0, 0, 0.25], atol=1e-5)  # about z: from the left side to up
    np.testing.assert_allclose(forearm[1], [-0.25, 0, 0], atol=1e-5)  # about y: to the back
    shank = clip[2, J["RFoot"]] - clip[2, J["RKnee"]]
    np.testing.assert_allclose(shank, [-0.41, 0, 0], atol=1e-5)  # about x: the knee bends to the back


def test_channel_order_is_honoured(tmp_path):
    # The matrix is Rz Rx for "Zrotation Xrotation": x first, which leaves the arm, then z lifts it.
    clip = read_text(tmp_path, bvh_text([{"LeftArm": (90, 90, 0)}])).clip(0)
    np.testing.assert_allclose(clip[0, J["LWrist"]] - clip[0, J["LShoulder"]], [0, 0, 0.53], atol=1e-5)


@pytest.mark.parametrize("scale", [1, 0.01, 10, 1 / 2.54, 0.45 / 2.54])
def test_unit_of_length_is_found(tmp_path, scale):
    pose = read_text(tmp_path, bvh_text(scale=scale)).clip(0)[0]
    assert np.linalg.norm(pose[J["LKnee"]] - pose[J["LHip"]]) == pytest.approx(0.42, abs=1e-4)


def test_unit_without_a_plausible_stature_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"clip.bvh: expected a person of 1.4 to 2.1 m"):
        read_text(tmp_path, bvh_text(scale=0.1))


@pytest.mark.parametrize("rename", [lambda n: "mixamorig:" + n, lambda n: "Character1_" + n, str.upper])
def test_prefixes_and_case_do_not_matter(tmp_path, rename):
    plain = read_text(tmp_path, bvh_text()).positions
    np.testing.assert_array_equal(read_text(tmp_path, bvh_text(rename=rename)).positions, plain)


def test_hip_knee_ankle_names_give_the_same_joints(tmp_path):
    plain = read_text(tmp_path, bvh_text()).positions
    text = bvh_text(rename=lambda n: CLASSIC.get(n, n))
    np.testing.assert_array_equal(read_text(tmp_path, text, "CLIP.BVH").positions, plain)


def test_z_up_is_found_in_the_rest_pose_or_the_motion(tmp_path):
    plain = read_text(tmp_path, bvh_text([{}] * 3)).positions
    z_up_tree = {name: (parent, (z, x, y)) for name, (parent, (x, y, z)) in MIXAMO.items()}
    text = bvh_text([{"root": (0, 0, 95)}] * 3, tree=z_up_tree)
    text = text.replace("OFFSET 0 18.000000 0", "OFFSET 0 0 18.000000")
    np.testing.assert_allclose(read_text(tmp_path, text).positions, plain, atol=1e-5)
    # A y-up rest pose that the root turns upright: Rx(90) takes y to z and the facing z to -y.
    turned = read_text(tmp_path, bvh_text([{"root": (0, 0, 95), "Hips": (0, 90, 0)}] * 3)).positions
    np.testing.assert_allclose(turned[..., [1, 0, 2]] * [-1, 1, 1], plain, atol=1e-5)


def test_who_lies_down_for_most_of_the_clip_still_lies(tmp_path):
    lying = {"root": (0, 20, 0), "Hips": (0, -90, 0)}
    clip = read_text(tmp_path, bvh_text([{}] + [lying] * 4)).clip(0)
    assert np.ptp(clip[-1, :, 2]) < 0.2 < 1 < np.ptp(clip[0, :, 2])


def test_t_pose_before_the_motion_is_left_out(tmp_path):
    rng = np.random.default_rng(0)
    frames = [{}, {}] + [{name: rng.uniform(1, 5, 3) for name in MIXAMO} for _ in range(3)]
    assert len(read_text(tmp_path, bvh_text(frames)).positions) == 3
    assert len(read_text(tmp_path, bvh_text(frames[:2])).positions) == 2


def test_reading_is_silent(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_text(tmp_path, bvh_text([{"Hips": (0, -90, 0)}]))
        with pytest.raises(InputError):
            read_text(tmp_path, bvh_text().partition("Frame Time")[0] + "Frame Time: 0.01\n")


TEXT = bvh_text([{}] * 3)
BROKEN = {
    "end of head": TEXT.replace("JOINT Head", "JOINT Skull"),
    "leftupleg, rightupleg": re.sub("(Left|Right)UpLeg", r"\1Femur", TEXT),
    "not a readable BVH": TEXT.replace("Frames: 3", "Frames: 2000000000"),
    "NaN": TEXT.replace("95.000000", "nan", 1),
    "NaN or infinity": TEXT.replace("OFFSET 0.000000 10.000000", "OFFSET 0.000000 inf"),
    "too large": TEXT.replace("95.000000", "1e308").replace("OFFSET 9.000000", "OFFSET 1e308"),
    "values per": re.sub(r"^(0\.000000 95.*) \S+$", r"\1", TEXT, flags=re.MULTILINE),
    "channels": TEXT.replace("CHANNELS 3 Zrotation Xrotation", "CHANNELS 3 Zrotation", 1),
    "frame time of": TEXT.replace("Frame Time: 0.0333333", "Frame Time: 7"),
    "not a readable BVH file": "",
    "No ROOT": "HIERARCHY\nMOTION\n",
    "not a readable": bytes(range(256)) * 20,
    "Second ROOT": TEXT.replace("JOINT Spine\n", "ROOT Spine\n"),
    "readable BVH file": "HIERARCHY\nROOT\n",
}


@pytest.mark.parametrize("message", BROKEN)
def test_bad_file_is_one_line_naming_it(tmp_path, message):
    with pytest.raises(InputError, match=message) as caught:
        read_text(tmp_path, BROKEN[message])
    assert "clip.bvh: " in str(caught.value) and "\n" not in str(caught.value)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_bvh(tmp_path / "none.bvh")


def test_truncated_or_damaged_file_never_fails_otherwise(tmp_path):
    whole, rng, start = TEXT.encode(), np.random.default_rng(0), time.monotonic()
    for trial in range(240):
        at = int(rng.integers(len(whole)))
        damaged = whole[:at] if trial % 2 else whole[:at] + bytes(rng.integers(256, size=3)) + whole[at + 3 :]
        try:
            motion = read_text(tmp_path, damaged)
        except InputError as error:
            assert "\n" not in str(error)
        else:
            assert np.isfinite(motion.positions).all()
    assert time.monotonic() - start < 60


def test_very_deep_tree_ends_in_one_line(tmp_path):
    joint = "JOINT a\n{\nOFFSET 0 0 0\nCHANNELS 3 Zrotation Xrotation Yrotation\n"
    with pytest.raises(InputError):
        read_text(tmp_path, TEXT.replace("JOINT Spine\n", joint * 3000 + "JOINT Spine\n"))


# Trials that the archive has too, with the frames that its makers left out (in 131_01 a first frame
# that is no T-pose) and the agreement in mm below and from the chest upwards. The archive has 07_01
# from the AMC file, with a true thorax bone; the others from these very files.
TRIALS = [
    ("cmu_07_01", "cmu/07/07_01", 0, 1, 11),
    ("cmu_35_17", "cmu/35/35_17", 0, 1, 1),
    ("cmu_131_01", "cmu/131/131_01", 1, 1, 1),
    ("accad_male1_B3_Walk", "accad/male1/B3_Walk", 0, 1, 3),
]


@pytest.mark.shared
@pytest.mark.parametrize(("stem", "clip", "skip", "lower_mm", "upper_mm"), TRIALS)
def test_real_file_agrees_with_the_archive(shared_data, stem, clip, skip, lower_mm, upper_mm):
    archive = read_open_mocap(shared_data / "open_mocap_h36m17.npz")
    expected = archive.clip(archive.names.index(clip))
    motion = read_bvh(shared_data / "raw_samples" / f"{stem}.bvh")
    found = resample(motion.clip(0)[skip:], float(motion.fps[0]), 50)
    assert found.shape == expected.shape
    shift = (expected - found)[:, 0].mean(axis=0)
    assert abs(shift[2]) < 0.015, "the floor"
    error_mm = 1000 * np.linalg.norm(found + shift - expected, axis=-1).max(axis=0)
    upper = np.arange(17) >= J["Thorax"]
    assert error_mm[~upper].max() < lower_mm and error_mm[upper].max() < upper_mm


@pytest.mark.shared
@pytest.mark.parametrize("stem", [trial[0] for trial in TRIALS])
def test_real_file_is_a_person(shared_data, stem):
    clip = read_bvh(shared_data / "raw_samples" / f"{stem}.bvh").clip(0).astype(np.float64)
    bone = {child: np.linalg.norm(clip[:, child] - clip[:, parent], axis=-1) for parent, child in H36M_17.bones}
    rigid = [J[j] for j in J if j[1:] in ("Hip", "Knee", "Foot", "Elbow", "Wrist")]
    assert max(1000 * bone[j].std() for j in rigid) < 1
    assert 1.45 < np.median(clip[:, J["Head"], 2]) < 2
    # Forwards is where the toes would be: the way the knees bend, and here also the way the person goes.
    going = clip[-1, 0] - clip[0, 0]
    left = (clip[:, J["LHip"]] - clip[:, J["RHip"]]).mean(axis=0)
    assert np.cross(left, [0, 0, 1]) @ going > 0

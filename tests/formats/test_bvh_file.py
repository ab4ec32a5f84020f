"""BVH files, read back by pybvh's forward kinematics, by the independent `bvhio`, and by this package's reader."""

import dataclasses

import numpy as np
import pytest
from lifted_person import FPS, first_frames, person

from mpm_keras.data.bvh import read_bvh
from mpm_keras.formats import Placement, gravity_of_pitch, scene_positions, write_motion
from mpm_keras.formats.scene import scene_rotation
from mpm_keras.inference.bones import bone_lengths, steady_bones
from mpm_keras.skeletons import H36M_16, H36M_17

pytestmark = pytest.mark.numpy_only

# Human3.6M joint -> the file's joint that lies there; "Head" is the end site of the file's Head.
NAMES = {"Hip": "Hips", "Spine": "Spine", "Thorax": "Spine1", "Neck/Nose": "Head"} | {
    side[0] + joint: side + name
    for side in ("Left", "Right")
    for joint, name in {
        "Hip": "UpLeg", "Knee": "Leg", "Foot": "Foot", "Shoulder": "Arm", "Elbow": "ForeArm", "Wrist": "Hand"
    }.items()
}  # fmt: skip


def read(path):
    """(F, 17, 3) metres by pybvh's forward kinematics, and its `Bvh`."""
    import pybvh

    bvh = pybvh.read_bvh_file(str(path), world_up="+y")
    nodes = [node.name for node in bvh.nodes]
    head = next(i for i, node in enumerate(bvh.nodes) if node.is_end_site() and node.parent.name == "Head")
    columns = [head if joint == "Head" else nodes.index(NAMES[joint]) for joint in H36M_17.joints]
    return bvh.node_positions()[:, columns] / 100, bvh


@pytest.mark.parametrize("activity", ["walk", "kick", "sit", "crawl", "dance", "turn"])
@pytest.mark.parametrize("moves", [True, False])
def test_constant_bones_come_back_exactly(tmp_path, activity, moves):
    motion = person(activity, moves=moves, seconds=4)
    path, _ = write_motion(motion, tmp_path, ["bvh"])
    points, bvh = read(path)
    assert bvh.fps == pytest.approx(FPS)
    np.testing.assert_allclose(points, scene_positions(motion), atol=1e-5)  # 0.01 mm
    assert np.degrees(np.abs(np.diff(bvh.joint_angles, axis=0))).max() < 45  # no flips, at 50 frames a second


def test_shaky_bones_keep_their_directions(tmp_path):
    motion = person(steady=False)
    path, _ = write_motion(motion, tmp_path, ["bvh"])
    points, _ = read(path)
    scene = scene_positions(motion)
    np.testing.assert_allclose(points, steady_bones(scene), atol=1e-5)
    lengths = bone_lengths(scene)
    for parent, joint in H36M_17.bones:
        found, lifted = (p[:, joint] - p[:, parent] for p in (points, scene))
        np.testing.assert_allclose(np.linalg.norm(found, axis=-1), lengths[joint], atol=1e-5)
        across = np.linalg.norm(np.cross(found, lifted), axis=-1)
        assert (
            np.degrees(np.arcsin(across / np.linalg.norm(found, axis=-1) / np.linalg.norm(lifted, axis=-1))).max()
            < 0.01
        )


def test_an_independent_reader_agrees(tmp_path):
    """`bvhio` has its own parser and its own kinematics, with quaternions in single precision."""
    import bvhio

    motion = person("kick")
    path, _ = write_motion(motion, tmp_path, ["bvh"])
    root = bvhio.readAsHierarchy(str(path))
    scene = scene_positions(motion)
    joints = {joint.Name: joint for joint, _, _ in root.layout()}
    for frame in (0, 33, 99):
        root.loadPose(frame)
        for name, joint in NAMES.items():
            found = np.array(joints[joint].PositionWorld.to_tuple()) / 100
            np.testing.assert_allclose(found, scene[frame, H36M_17.index(name)], atol=1e-4, err_msg=name)


def test_this_package_reads_it(tmp_path):
    """Its reader finds unit, up axis, floor and all joints; only the origin is its own."""
    motion = person("walk")
    path, _ = write_motion(motion, tmp_path, ["bvh"])
    clip = read_bvh(path).positions
    scene = scene_positions(motion)[..., [2, 0, 1]]  # y up -> z up
    np.testing.assert_allclose(clip - clip[0, 0], scene - scene[0, 0], atol=1e-4)


def test_rest_pose_is_a_t_pose_that_faces_the_camera(tmp_path):
    path, _ = write_motion(person(), tmp_path, ["bvh"])
    rest = dict(zip((n.name for n in read(path)[1].nodes), read(path)[1].rest_pose_positions(), strict=True))
    assert rest["LeftHand"][0] > rest["LeftArm"][0] > 0 > rest["RightArm"][0] > rest["RightHand"][0]
    assert rest["LeftHand"][1] == pytest.approx(rest["Neck"][1])
    assert rest["Head"][1] > rest["Neck"][1] > rest["Spine"][1] > 0 > rest["LeftLeg"][1] > rest["LeftFoot"][1]


def test_a_camera_that_looks_down_is_taken_out(tmp_path):
    """The same person as a camera sees them that is pitched by 20 degrees: the same file, to its last digits."""
    level = person("kick")
    gravity = gravity_of_pitch(20)
    turn = scene_rotation(gravity).T @ scene_rotation()  # from the level camera's frame into the pitched one's
    pitched = dataclasses.replace(level, positions_3d=level.positions_3d @ turn.T, trajectory=level.trajectory @ turn.T)
    expected, bvh = read(write_motion(level, tmp_path, ["bvh"])[0])
    found, pitched_bvh = read(write_motion(pitched, tmp_path, ["bvh"], Placement(gravity))[0])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(pitched_bvh.joint_angles[:, 0], bvh.joint_angles[:, 0], atol=1e-4)


def test_unknown_joints_are_interpolated(tmp_path):
    motion = person()
    path, _ = write_motion(motion, tmp_path, ["bvh"])
    whole, _ = read(path)
    motion.positions_3d[20] = np.nan
    path, _ = write_motion(motion, tmp_path, ["bvh"])
    points, _ = read(path)
    assert np.abs(points[20] - whole[20]).max() < 0.02
    motion.positions_3d[:, 6] = np.nan
    with pytest.raises(ValueError, match="joint LFoot is not known"):
        write_motion(motion, tmp_path, ["bvh"])


def test_one_frame_and_a_collapsed_body(tmp_path):
    motion = first_frames(person(), 1)
    path, _ = write_motion(motion, tmp_path, ["bvh"])
    np.testing.assert_allclose(read(path)[0], scene_positions(motion), atol=1e-5)
    path, _ = write_motion(person(positions_3d=np.zeros((100, 17, 3), np.float32)), tmp_path, ["bvh"])
    assert np.isfinite(read(path)[0]).all()


def test_other_skeletons_are_refused(tmp_path):
    motion = person()
    sixteen = {
        k: np.delete(getattr(motion, k), 9, axis=1) for k in ("positions_3d", "filled", "keypoints_2d", "confidence")
    }
    with pytest.raises(ValueError, match="h36m17"):
        write_motion(person(**sixteen, skeleton=H36M_16), tmp_path, ["bvh"])
    write_motion(person(**sixteen, skeleton=H36M_16), tmp_path, ["npz", "json", "csv", "trc", "c3d"])

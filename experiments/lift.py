"""Lifts a detector's 2D keypoints to 3D.

    python experiments/lift.py keypoints.json --out=lifted --preset=runs/finetune
    python experiments/lift.py openpose_folder --out=lifted --image_size=1920x1080 --fps=30 --person=all --view
    python experiments/lift.py video.mp4.npz --out=lifted --formats=npz,bvh,trc --trajectory --animation=gif

Reads MMPose, AlphaPose, OpenPose, Detectron2, VideoPose3D, MediaPipe, Ultralytics and plain arrays,
recognised by content. Leaves in --out a file per person and format, NAME_assumptions.json, and what
else was asked for; docs/formats.md describes them.
"""

from absl import flags

from mpm_keras import command_line, flag_sets

flag_sets.define_config_flag()
flag_sets.define_keypoint_flags()
flags.DEFINE_string("out", None, "Folder for the results; files of the same names are replaced.")
flags.DEFINE_string("person", "main", "main (largest and longest in view), all, or a name such as person2.")
flags.DEFINE_boolean("all", False, "The same as --person=all.")
flags.DEFINE_list("formats", ["npz"], "Any of npz, json, csv, trc, c3d, bvh.")
flags.DEFINE_boolean("view", False, "Write view.html: 2D and 3D side by side, in any browser, offline.")
flags.DEFINE_multi_enum("animation", [], ["gif", "mp4"], "Write an animation; of a GIF the first 30 seconds.")
flags.DEFINE_enum(
    "mode",
    "sequence",
    ["sequence", "center"],
    "sequence blends all poses of overlapping windows; center runs a window per pose and is much dearer.",
)
flags.DEFINE_boolean("flip", True, "Average with the mirrored prediction of the mirrored input.")
flags.DEFINE_float("threshold", None, "Joints with a lower score count as not seen; by default the preset's.", 0.0, 1.0)
flags.DEFINE_float(
    "fill_seconds", 2.0, "Joints not seen for up to so long are put between where they were and will be.", 0.0, 60.0
)
flags.DEFINE_boolean("fit", True, "Make poses agree with the keypoints, and bones keep their length.")
flags.DEFINE_enum("smooth", "none", ["none", "one_euro", "savitzky_golay"], "Smooth the poses through time.")
flags.DEFINE_boolean("steady_bones", False, "Give every bone one length throughout, the same left and right.")
flags.DEFINE_float("height", None, "The person's height in metres; by default the scale of an average adult.")
flags.DEFINE_boolean("trajectory", False, "Estimate where the person is, not only the pose.")
flags.DEFINE_list("intrinsics", [], "fx,fy,cx,cy of the camera in pixels, where known.")
flags.DEFINE_float("camera_pitch", 0.0, "Degrees by which the camera looks down; puts TRC, C3D and BVH upright.")
flags.DEFINE_enum("floor", "clip", ["clip", "frame", "none"], "What stands on the floor in TRC, C3D and BVH.")


def main(paths):
    if len(paths) > 1:
        command_line.fail(f"unexpected argument {paths[1]!r}; one file or folder of keypoints at a time")
    config = command_line.settings()
    if not config["out"]:
        command_line.fail("--out is needed: a folder for the results")
    if config.pop("all"):
        config["person"] = "all"
    from mpm_keras.inference.lift_run import lift_file  # after the flags: --help needs no backend

    for motion, files in lift_file(paths[0], config):
        frames, filled = len(motion.filled), 100 * motion.filled.mean()
        swapped = len(motion.assumptions["left_right_exchanged_frames"])
        print(f"{motion.name}: {frames} frames at {motion.fps:g}/s, {filled:.1f} % of the joints filled in", end="")
        print(f", left and right put back in {swapped} frames" if swapped else "")
        for note in motion.assumptions["notes"]:
            print(f"  note: {note}")
        for file in files:
            print(f"  {file}")


if __name__ == "__main__":
    command_line.run(main, positional="KEYPOINTS")

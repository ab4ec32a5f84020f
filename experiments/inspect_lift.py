"""Lifts detectors' keypoints of real videos and measures what can be seen without a truth.

    python experiments/inspect_lift.py mmpose/demo.json mediapipe/demo_landmarks.json --out=runs/inspect
    python experiments/inspect_lift.py keypoints.json --image_size=1920x1080 --fps=30 --steady_bones

Bone lengths through time and their symmetry, feet that slide (of a camera that stands still), people
who turn over in a moment, attitude against the camera's vertical, jerk; for everybody in the files, and
for MediaPipe's own 3D where a file has it. A page of pictures for each person.

Leaves in --out: steadiness.json, steadiness.csv, steadiness.md, FILE_PERSON.png.
"""

from absl import flags

from mpm_keras import command_line, flag_sets

flag_sets.define_config_flag()
flag_sets.define_keypoint_flags()
flags.DEFINE_string("out", "runs/inspect_lift", "Folder for the results.")
flags.DEFINE_enum("mode", "sequence", ["sequence", "center"], "As in lift.py.")
flags.DEFINE_boolean("flip", True, "As in lift.py.")
flags.DEFINE_float("threshold", None, "As in lift.py: joints with a lower score count as not seen.", 0.0, 1.0)
flags.DEFINE_float("fill_seconds", 2.0, "As in lift.py.", 0.0, 60.0)
flags.DEFINE_boolean("fit", True, "As in lift.py.")
flags.DEFINE_enum("smooth", "none", ["none", "one_euro", "savitzky_golay"], "As in lift.py.")
flags.DEFINE_boolean("steady_bones", False, "As in lift.py.")
flags.DEFINE_list("intrinsics", [], "fx,fy,cx,cy of the camera in pixels, where known.")
flags.DEFINE_integer("moments", 12, "Moments on the page of each person.", 2, 40)


def main(paths):
    config = command_line.settings()
    from mpm_keras.inference.inspect_run import inspect_files  # after the flags: --help needs no backend

    inspect_files(paths, config)
    with open(f"{config['out']}/steadiness.md", encoding="utf-8") as file:
        print(file.read())


if __name__ == "__main__":
    command_line.run(main, positional="KEYPOINTS")

"""Writes people into files as detectors' tools write them, for the tests of their readers."""

import json

import numpy as np

from mpm_keras.skeletons import BODY_25, COCO_17, MEDIAPIPE_33

SIZE = (640, 480)


def people(frames=6, joints=17, seed=0):
    """[frame][person] (K, 3) of x, y, score: two people, and nobody in the frames 0 and 3."""
    rng = np.random.default_rng(seed)
    shape = rng.uniform(0, 100, (2, joints, 2)) + np.array([[[50, 100]], [[350, 200]]])
    scores = rng.uniform(0.3, 1.0, (frames, 2, joints, 1))
    moving = [[np.concatenate([shape[p] + 3 * f, scores[f, p]], axis=1) for p in (0, 1)] for f in range(frames)]
    return [[] if f in (0, 3) else both for f, both in enumerate(moving)]


def mmpose_instances(frame):
    return [
        {
            "keypoints": p[:, :2].tolist(),
            "keypoint_scores": p[:, 2].tolist(),
            "bbox": [[*p[:, :2].min(0).tolist(), *p[:, :2].max(0).tolist()]],
            "bbox_score": 0.9,
        }
        for p in frame
    ]


def mmpose(path, video):
    frames = [{"frame_id": i, "instances": mmpose_instances(frame)} for i, frame in enumerate(video)]
    path.write_text(json.dumps(frames, indent=2))


def mmpose_demo(path, video, joints=COCO_17.joints):
    frames = [{"frame_id": i + 1, "instances": mmpose_instances(frame)} for i, frame in enumerate(video)]
    names = {str(i): name for i, name in enumerate(joints)}
    meta = {"dataset_name": "coco", "num_keypoints": len(joints), "keypoint_id2name": names}
    path.write_text(json.dumps({"meta_info": meta, "instance_info": frames}, indent="\t"))


def alphapose(path, video, ids=(1, 2)):
    found = [
        {"image_id": f"{i}.jpg", "category_id": 1, "keypoints": p.ravel().tolist(), "score": 3.1,
         "box": [0.0, 0.0, 10.0, 10.0], "idx": ids[k] if ids else [0.0]}
        for i, frame in enumerate(video) for k, p in enumerate(frame)
    ]  # fmt: skip
    path.write_text(json.dumps(found))


def openpose_frame(frame):
    empty = {"face_keypoints_2d": [], "hand_left_keypoints_2d": [], "hand_right_keypoints_2d": []}
    found = [{"person_id": [-1], "pose_keypoints_2d": p.ravel().tolist(), **empty} for p in frame]
    return json.dumps({"version": 1.3, "people": found})


def openpose(folder, video):
    folder.mkdir()
    for i, frame in enumerate(video):
        (folder / f"clip_{i:012d}_keypoints.json").write_text(openpose_frame(frame))


def detectron2(path, video):
    keypoints, boxes = (np.empty((len(video), 2), object) for _ in range(2))
    for i, frame in enumerate(video):
        keypoints[i, 0], boxes[i, 0] = [], []
        rows = [np.stack([p[:, 0], p[:, 1], np.zeros(len(p)), p[:, 2]]) for p in frame]
        keypoints[i, 1] = np.array(rows, np.float32) if rows else []
        boxes[i, 1] = np.zeros((len(rows), 5), np.float32) if rows else []
    metadata = {"w": SIZE[0], "h": SIZE[1]}
    segments = np.full(len(video), None, object)
    with open(path, "wb") as file:
        np.savez_compressed(file, boxes=boxes, segments=segments, keypoints=keypoints, metadata=metadata)


def videopose3d(path, videos, layout="coco"):
    metadata = {
        "layout_name": layout,
        "num_joints": 17,
        "keypoints_symmetry": [[1, 3], [2, 4]],
        "video_metadata": {name: {"w": SIZE[0], "h": SIZE[1]} for name in videos},
    }
    positions = {name: {"custom": [points.astype(np.float32)]} for name, points in videos.items()}
    with open(path, "wb") as file:
        np.savez_compressed(file, positions_2d=positions, metadata=metadata)


def mediapipe_csv(path, video, fps=25.0):
    lines = ["frame,time_s,landmark,name,x_px,y_px,z_px,visibility"]
    for i, frame in enumerate(video):
        for k, (x, y, s) in enumerate(frame[0] if frame else ()):
            lines.append(f"{i},{i / fps:.6f},{k},{MEDIAPIPE_33.joints[k]},{x:.3f},{y:.3f},0.5,{s:.6f}")
    path.write_text("\n".join(lines) + "\n")


def mediapipe_json(path, video, fps=25.0, size=SIZE):
    def landmarks(p):
        return {"landmark": [{"x": x / SIZE[0], "y": y / SIZE[1], "z": 0.1, "visibility": s} for x, y, s in p.tolist()]}

    frames = [{"frame": i, "pose_landmarks": landmarks(f[0]) if f else None} for i, f in enumerate(video)]
    header = {"width": size[0], "height": size[1]} if size else {}
    path.write_text(json.dumps({"video": "a.mp4", **header, "fps": fps, "frames": frames}))


def ultralytics_frame(frame, ids=(1, 2), scale=(1, 1)):
    return [
        {"name": "person", "class": 0, "confidence": 0.9, "box": {"x1": 1, "y1": 1, "x2": 2, "y2": 2},
         "keypoints": {"x": (p[:, 0] / scale[0]).tolist(), "y": (p[:, 1] / scale[1]).tolist(),
                       "visible": p[:, 2].tolist()}, **({"track_id": ids[k]} if ids else {})}
        for k, p in enumerate(frame)
    ]  # fmt: skip


def ultralytics(path, video):
    path.write_text(json.dumps([ultralytics_frame(frame) for frame in video], indent=2))


def labels(folder, video, ids=(1, 2), conf=True, visible=True):
    folder.mkdir()
    for i, frame in enumerate(video):
        lines = []
        for k, p in enumerate(frame):
            values = p[:, :3] / [*SIZE, 1] if visible else p[:, :2] / SIZE
            words = [0, 0.5, 0.5, 0.2, 0.2, *values.ravel(), *([0.91] if conf else []), *([ids[k]] if ids else [])]
            lines.append(("%g " * len(words)).rstrip() % tuple(words))
        if lines:  # Ultralytics writes no file for a frame with nobody
            (folder / f"clip_{i + 1}.txt").write_text("\n".join(lines) + "\n")


def table(path, video):
    header = ["frame", *(f"{joint}_{axis}" for joint in COCO_17.joints for axis in ("x", "y", "score"))]
    rows = [f"{i}," + ",".join(f"{v:.4f}" for v in frame[0].ravel()) for i, frame in enumerate(video) if frame]
    path.write_text("\n".join([",".join(header), *rows]) + "\n")


# Layout -> (writer, joints, name): the files that hold what `people` gives.
WRITERS = {
    "mmpose": (mmpose, 17, "clip.json"),
    "mmpose demo": (mmpose_demo, 17, "results_clip.json"),
    "alphapose": (alphapose, 17, "alphapose-results.json"),
    "openpose": (openpose, BODY_25.num_joints, "openpose"),
    "detectron2": (detectron2, 17, "clip.mp4.npz"),
    "mediapipe csv": (mediapipe_csv, MEDIAPIPE_33.num_joints, "clip.csv"),
    "mediapipe json": (mediapipe_json, MEDIAPIPE_33.num_joints, "clip_mp.json"),
    "ultralytics": (ultralytics, 17, "clip_yolo.json"),
    "labels": (labels, 17, "labels"),
    "table": (table, 17, "table.csv"),
}

"""Every script given every kind of bad input: one line, exit code 2, nothing written, nothing run.

What is found is the table of docs/bad_input.md. After a change of a message, write it anew:
BAD_INPUT_PAGE=write pytest tests/experiments/test_bad_input.py
"""

import json
import os
import re
from pathlib import Path

import bad_files
import keras
import numpy as np
import pytest
from bad_files import DAMAGES, MARKER, spoiled
from harness import seed_weights
from released_network import random_state
from script_runs import contents, run_script

from mpm_keras.models import MPMLifter, MPMPretrainer, save_preset
from mpm_keras.models.presets import sha256

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "bad_input.md"
SIZE = dict(frames=9, joints=17, layers=1, width=8, encoder_width=8, heads=2, feed_forward=8)
TINY = ["--frames=9", "--layers=1", "--width=8", "--encoder_width=8", "--noprogress", "--workdir=run"]
SEEN = ["--fps=30", "--image_size=1280x720"]
WITH_CONFIG = (
    "ablate", "complete", "convert_checkpoint", "evaluate", "evaluate_3dhp", "evaluate_completion", "evaluate_noise",
    "explain", "finetune", "inspect_lift", "layer_search", "lift", "make_preset", "mask_search", "prepare_data",
    "pretrain", "refine", "summarize",
)  # fmt: skip
POSITIONAL = {"ablate", "convert_checkpoint", "evaluate_3dhp", "explain", "inspect_lift", "lift", "prepare_data"}
READ_NO_FILES = {"soak"}

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="one backend is enough for scripts")


def make_presets(folder: Path):
    """A lifter and a completion network that are sound."""
    facts = {"skeleton": "h36m17", "stride": 2, "fps": 50.0, "mean_pose_3d": np.zeros((17, 3)).tolist()}
    for name, network in {"lifter": MPMLifter(**SIZE), "pretrainer": MPMPretrainer(**SIZE)}.items():
        seed_weights(network, scale=0.1)
        save_preset(network, folder / name, **facts)
    save_preset(network, folder / "lifter" / "completion", **facts)


def spoiled_preset(path: Path, good: Path, damage: str) -> Path:
    """A bad copy of a preset, or nothing; returns its path."""
    if damage == "missing":
        return path
    header, weights = (good / "preset.json").read_text(), (good / "weights.npz").read_bytes()
    path.mkdir(parents=True)
    (path / "weights.npz").write_bytes(b"" if damage == "empty" else weights)
    if damage in ("wrong-shaped", "NaN-filled"):
        with np.load(good / "weights.npz", allow_pickle=False) as archive:
            arrays = dict(archive)
        key = "backbone/spatial/block_1/dense/kernel"
        arrays[key] = arrays[key][:, :-1] if damage == "wrong-shaped" else np.full_like(arrays[key], np.nan)
        np.savez(path / "weights.npz", **arrays)
        header = json.dumps({**json.loads(header), "weights_sha256": sha256(path / "weights.npz")})
    elif damage == "hostile":
        absurd = {"frames": 10**7, "layers": 10**6, "width": 10**9}
        header = json.dumps({**json.loads(header), "config": {**json.loads(header)["config"], **absurd}})
    made = {"empty": "", "truncated": header[: len(header) * 2 // 3]}
    (path / "preset.json").write_text(made.get(damage, header))
    return path


def inputs(good: Path) -> list[tuple]:
    """(script, what is bad, name of the bad file, its kind or the good preset, arguments for its path)."""
    views, lifter, walk = good / "views.npz", good / "lifter", good / "walk.json"
    data = {"pretrain": TINY, "finetune": TINY, "complete": TINY}
    data |= {script: [f"--network={lifter}", "--workdir=run"] for script in ("refine", "evaluate", "evaluate_noise")}
    data |= {"evaluate_completion": [f"--network={lifter}", "--workdir=run"]}
    data |= {"mask_search": ["--workdir=run"], "layer_search": ["--workdir=run"], "ablate": ["tasks", "--workdir=run"]}
    found = [
        (script, "--data", "views.npz", bad_files.views(good), lambda bad, more=more: [f"--data={bad}", *more])
        for script, more in data.items()
    ]
    presets = [
        ("finetune", "--pretrained", "pretrainer", [f"--data={views}", *TINY]),
        ("complete", "--pretrained", "pretrainer", [f"--data={views}", *TINY]),
        ("refine", "--network", "lifter", [f"--data={views}", "--workdir=run"]),
        ("evaluate", "--network", "lifter", [f"--data={views}", "--workdir=run"]),
        ("evaluate_noise", "--network", "lifter", [f"--data={views}", "--workdir=run"]),
        ("evaluate_completion", "--network", "lifter", [f"--data={views}", "--workdir=run"]),
        ("evaluate_3dhp", "--network", "lifter", [good / "data_test_3dhp.npz", "--workdir=run"]),
        ("lift", "--preset", "lifter", [walk, *SEEN, "--out=out"]),
        ("explain", "--preset", "lifter", [walk, *SEEN, "--out=out"]),
        ("inspect_lift", "--preset", "lifter", [walk, *SEEN, "--out=out"]),
        ("export", "--network", "lifter", ["--format=tf_saved_model", "--out=out"]),
        ("make_preset", "--network", "lifter", ["--out=out"]),
        ("make_preset", "--completion", "pretrainer", [f"--network={lifter}", "--out=out"]),
    ]
    found += [
        (script, flag, "preset", good / preset, lambda bad, flag=flag, more=more: [f"{flag}={bad}", *more])
        for script, flag, preset, more in presets
    ]
    files = [
        ("evaluate_3dhp", "PATH", "data_test_3dhp.npz", bad_files.mpi_inf_3dhp(), [f"--network={lifter}"]),
        ("lift", "KEYPOINTS", "walk.json", bad_files.mmpose(), [f"--preset={lifter}", *SEEN, "--out=out"]),
        ("explain", "KEYPOINTS", "walk.json", bad_files.mmpose(), [f"--preset={lifter}", *SEEN, "--out=out"]),
        ("inspect_lift", "KEYPOINTS", "walk.json", bad_files.mmpose(), [f"--preset={lifter}", *SEEN, "--out=out"]),
        (
            "convert_checkpoint", "CHECKPOINT", "a.safetensors",
            bad_files.safetensors(random_state("stage2", layers=1)), ["--out=out"],
        ),
    ]  # fmt: skip
    found += [(*row, lambda bad, more=more: [bad, *more]) for *row, more in files]
    sources = {
        "h36m": ("data_3d_h36m.npz", bad_files.h36m()),
        "3dhp": ("data_test_3dhp.npz", bad_files.mpi_inf_3dhp()),
        "amass": ("amass.npz", bad_files.amass()),
        "aist": ("gBR_sBM_cAll_d04_mBR0_ch01.pkl", bad_files.aist()),
        "cmu": ("01_01.bvh", bad_files.bvh(good)),
        "bvh": ("walk.bvh", bad_files.bvh(good)),
        "open_mocap": ("open_mocap.npz", bad_files.open_mocap()),
    }
    found += [
        ("prepare_data", f"{source} FILE", *kind, lambda bad, source=source: [source, bad, "--out=out.npz"])
        for source, kind in sources.items()
    ]
    mapped = [f"--mapping={good / 'mapping.json'}", "--out=out.npz"]
    found += [
        ("prepare_data", "custom FILE", "a.npz", bad_files.custom(), lambda bad: ["custom", bad, *mapped]),
        (
            "prepare_data", "--mapping", "mapping.json", bad_files.mapping(),
            lambda bad: ["custom", good / "custom.npz", f"--mapping={bad}", "--out=out.npz"],
        ),
        ("prepare_data", "--inspect FILE", "views.npz", bad_files.views(good), lambda bad: ["--inspect", bad]),
        ("summarize", "--runs", "metrics.json", bad_files.metrics(), lambda bad: [f"--runs=runs={bad}"]),
        ("summarize", "--curves", "epochs.jsonl", bad_files.epochs(), lambda bad: [f"--curves={bad}"]),
    ]  # fmt: skip
    return found + [
        (
            script, "--config", "config.json", bad_files.config(),
            lambda bad, script=script: [f"--config={bad}", *(["x"] if script in POSITIONAL else [])],
        )
        for script in WITH_CONFIG
    ]  # fmt: skip


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A folder of sound files."""
    folder = tmp_path_factory.mktemp("good")
    make_presets(folder)
    for name, kind in {
        "walk.json": bad_files.mmpose(), "data_test_3dhp.npz": bad_files.mpi_inf_3dhp(),
        "mapping.json": bad_files.mapping(), "custom.npz": bad_files.custom(),
    }.items():  # fmt: skip
        (folder / name).write_bytes(kind["good"])
    return folder


def tried(script, name, kind, arguments, damage, folder) -> tuple[str, str]:
    """(the one line, what is wrong with how the script ended) of one bad input."""
    make = spoiled_preset if isinstance(kind, Path) else spoiled
    bad = make(folder / name, kind, damage)
    before = contents(folder)
    try:
        ended = run_script(script, *arguments(bad))
    except Exception as error:  # of any kind: it is what must not happen
        return "", f"a traceback of {error!r}"[:400]
    line = ended.lines[-1] if ended.lines else ""
    wrong = [
        f"exit code {ended.code}" if ended.code != 2 else "",
        f"{len(ended.lines)} lines: {ended.lines}" if len(ended.lines) != 1 else "",
        f"not by the script's name: {line}" if not line.startswith(f"{script}.py: ") else "",
        "files were written" if contents(folder) != before else "",
        "code was run" if (folder / MARKER).exists() else "",
    ]
    return line.removeprefix(f"{script}.py: "), "; ".join(filter(None, wrong))


def test_no_script_is_left_out(good):
    scripts = {path.stem for folder in ("experiments", "tuning") for path in (ROOT / folder).glob("*.py")}
    assert scripts == {row[0] for row in inputs(good)} | READ_NO_FILES


@pytest.mark.slow  # some 350 cases; half a minute
def test_every_bad_input_ends_in_one_line_and_the_page_says_so(good, tmp_path, monkeypatch):
    rows, failures = [], []
    for number, (script, what, name, kind, arguments) in enumerate(inputs(good)):
        for damage in DAMAGES:
            folder = tmp_path / f"{number}_{damage}"
            folder.mkdir()
            monkeypatch.chdir(folder)
            line, wrong = tried(script, name, kind, arguments, damage, folder)
            rows.append((script, what, damage, told(line, folder, good)))
            failures += [f"{script} {what}, {damage}: {wrong}"] if wrong else []
    assert not failures, "\n".join(failures)
    text = page(rows)
    if os.environ.get("BAD_INPUT_PAGE") == "write":
        PAGE.write_text(text)
    assert stable(PAGE.read_text()) == stable(text), "docs/bad_input.md is out of date: see the head of this file"


def told(line: str, *folders) -> str:
    """A message without temporary folders and without lists of what is known, which grow."""
    for folder in folders:
        line = line.replace(f"{folder}/", "")
    return re.sub(r"; known: [^)]*", "", line).replace("|", "\\|")


def stable(text: str) -> str:
    """A page without what other versions of other libraries say differently: reasons in brackets, and numbers."""
    text = re.sub(r" \((?=[^|\n]*[a-z])[^|\n]*\) \|$", " |", text, flags=re.MULTILINE)
    return re.sub(r"\d+", "0", text)


def page(rows) -> str:
    scripts = len({script for script, *_ in rows})
    head = f"""# Bad input

What the scripts say to input that is bad: one line on stderr, exit code 2, and nothing is written.
`tests/experiments/test_bad_input.py` runs these {len(rows)} cases, {scripts} scripts, and makes this page. Hostile
are pickles that would run code, presets that ask for more memory than there is, small archives that unpack to much,
and text nested 200,000 deep; [SECURITY.md](../SECURITY.md) says what is promised of such files.

| script | input | is | and the script says |
| --- | --- | --- | --- |
"""
    return head + "".join(f"| `{s}.py` | `{what}` | {damage} | {line} |\n" for s, what, damage, line in rows)


SOURCES = ("h36m FILE", "3dhp FILE", "amass FILE", "aist FILE", "bvh FILE", "open_mocap FILE", "custom FILE")


@pytest.mark.parametrize("what", SOURCES)
def test_the_same_files_unspoiled_are_read(what, good, tmp_path, monkeypatch):
    """Otherwise the table would tell nothing."""
    monkeypatch.chdir(tmp_path)
    script, _, name, kind, arguments = next(row for row in inputs(good) if row[1] == what)
    (tmp_path / name).write_bytes(kind["good"])
    ended = run_script(script, *arguments(tmp_path / name))
    assert ended.code == 0 and (tmp_path / "out.npz").exists(), ended

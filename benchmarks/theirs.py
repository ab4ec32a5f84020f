"""What the yardstick does in each case."""

import numpy as np
import torch
from material import Case, clips, windows
from torch.utils.data import DataLoader
from yardstick import Lifter, Pretrainer, Training, Windows

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def loader(case: Case, workers: int) -> DataLoader:
    """Batches of single windows, as the repositories make them."""
    pin = DEVICE == "cuda"
    data = Windows(clips(case.data_frames), case.frames)
    return DataLoader(data, case.batch_size, shuffle=True, num_workers=workers, drop_last=True, pin_memory=pin)


def forever(batches):
    while True:
        yield from batches


def train(case, who, rounds):
    torch.manual_seed(0)
    kind = {"train1": Pretrainer, "train2": Lifter}[case.what]
    network = kind(case.frames, layers=case.layers)
    training = Training(network, DEVICE, case.dtype == "mixed_bfloat16", compiled=who == "compiled")
    # Processes that load beside a network that uses all cores only slow it down.
    source = forever(loader(case, workers=4 if DEVICE == "cuda" else 0))
    rounds.run(lambda: training.step(next(source)), case.batch_size)


class Predictor:
    """The stage II network in inference: NumPy in, NumPy out."""

    def __init__(self, case, who):
        torch.manual_seed(0)
        self.network = Lifter(case.frames, layers=case.layers).to(DEVICE).eval()
        if who == "compiled":
            self.network = torch.compile(self.network)
        self.bfloat16 = case.dtype == "mixed_bfloat16"

    def __call__(self, pose):
        with torch.no_grad(), torch.autocast(DEVICE, torch.bfloat16, enabled=self.bfloat16):
            center, sequence = self.network(torch.from_numpy(pose).to(DEVICE))
        return center.float().cpu().numpy(), sequence.float().cpu().numpy()


def infer(case, who, rounds):
    predict, pose = Predictor(case, who), windows(case)
    rounds.run(lambda: predict(pose), case.batch_size)


def lift_center(case, who, rounds):
    """A clip through the dataset, one window a frame; the repositories know no other way."""
    predict, batch = Predictor(case, who), case.batch_size
    data = Windows(clips(4 * batch), case.frames)
    data.pairs = [pair for pair in data.pairs if not pair[2]]  # unmirrored
    source = DataLoader(data, batch, drop_last=True)

    def work():
        return np.concatenate([predict(pose_2d.numpy())[0] for pose_2d, _ in source])

    rounds.run(work, len(source) * batch)


def stream(case, who, rounds):
    predict, pose = Predictor(case, who), windows(case)[:1]
    rounds.run(lambda: predict(pose), 1)


def pipeline(case, who, rounds):
    """`who`: "eager:0" for batches made in the main process, "eager:4" for four loading ones."""
    source = forever(loader(case, workers=int(who.split(":")[1])))
    rounds.run(lambda: next(source), case.batch_size)


JOBS = {
    "train1": train, "train2": train, "infer": infer, "center": lift_center, "sequence": lift_center, "stream": stream,
    "pipeline": pipeline,
}  # fmt: skip

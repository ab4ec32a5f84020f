"""Published splits: which subjects of a dataset are held out."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Protocol:
    """Which subjects are held out. All others train."""

    validation: tuple[str, ...]
    test: tuple[str, ...] = ()

    def split_of(self, subject: str) -> str:
        """ "train", "validation" or "test"."""
        return "test" if subject in self.test else "validation" if subject in self.validation else "train"


# The open motion protocol (README): test subjects cover every source and kind of activity, and no
# model is chosen by them; nothing of them is seen in stage I either.
OPEN_MOCAP_PROTOCOL = Protocol(
    validation=("cmu09", "cmu16", "cmu69", "cmu127", "cmu135", "hdm05_dg"),
    test=("accad_male2", "cmu05", "cmu13", "cmu14", "cmu35", "cmu94", "hdm05_tr"),
)

# Dataset -> its split. The validation subjects of Human3.6M and MPI-INF-3DHP are taken from those that
# the literature trains on: no model is chosen on test subjects.
PROTOCOLS = {
    "open_mocap": OPEN_MOCAP_PROTOCOL,
    "h36m": Protocol(validation=("S8",), test=("S9", "S11")),
    "3dhp": Protocol(validation=("S8",), test=("TS1", "TS2", "TS3", "TS4", "TS5", "TS6")),
}

"""Turns a dataset, in whatever form it comes, into the project's own archive, or shows what is in one.

    python experiments/prepare_data.py h36m data_3d_h36m.npz data_2d_h36m_cpn_ft_h36m_dbb.npz --out=h36m.npz
    python experiments/prepare_data.py 3dhp mpi_inf_3dhp --out=3dhp.npz
    python experiments/prepare_data.py amass amass --body_model=smplh --out=amass.npz
    python experiments/prepare_data.py --inspect h36m.npz

The first word is the source: h36m, 3dhp, amass, aist, custom, cmu, bvh, acclaim, open_mocap or synthetic;
then files and folders. docs/data.md says which, and what the archive is. --inspect prints what is in an
archive and draws some of its poses beside it (FILE.png).
"""

import warnings

from absl import flags

from mpm_keras import command_line, flag_sets

flag_sets.define_config_flag()
flags.DEFINE_string("out", None, "The archive to write (.npz).")
flags.DEFINE_boolean("inspect", False, "Show what is in an archive: the named one, or the one just made.")
flags.DEFINE_string("sheet", None, "The picture that --inspect draws; by default the archive's name with .png.")
flags.DEFINE_integer("sheet_clips", 6, "Clips in the picture.", 1, 100)
flags.DEFINE_string("license", "", "Licence of clips whose source does not tell it.")
flags.DEFINE_float("fps", None, "Frames a second to resample motion to; 50 by default.", 1.0, 1000.0)
flags.DEFINE_list("subjects", None, "h36m: the subjects to take, such as S9,S11; all by default.")
flags.DEFINE_enum(
    "annotation", None, ["univ_annot3", "annot3"], "3dhp: bodies of one height, as in the literature, or in true size."
)
flags.DEFINE_enum("frames", None, ["all", "valid"], "3dhp: frames of the test sequences.")
flags.DEFINE_string("body_model", None, "amass: the SMPL body model, a file or a folder with one per gender.")
flags.DEFINE_string("cache", None, "amass: folder in which a run that was broken off goes on.")
flags.DEFINE_integer("workers", None, "amass: processes; one per core by default.", 1, 256)
flags.DEFINE_enum(
    "keypoints", None, ["keypoints3d_optim", "keypoints3d"], "aist: smoothed keypoints, or triangulated ones."
)
flags.DEFINE_string("mapping", None, "custom: file that maps your joints to the project's; see docs/custom_data.md.")
flags.DEFINE_integer("clips", None, "synthetic: how many clips of 10 seconds; 240 by default.", 2, 20_000)
flags.DEFINE_integer("seed", None, "synthetic: of the motion.", 0, flag_sets.MOST)

READER_FLAGS = (
    "fps", "subjects", "annotation", "frames", "body_model", "cache", "workers", "keypoints", "mapping", "clips",
    "seed",
)  # fmt: skip


def main(words):
    config = command_line.settings()
    from mpm_keras.data.prepare import SOURCES, describe, draw, prepare
    from mpm_keras.errors import printable

    warnings.formatwarning = lambda message, *_: f"prepare_data.py: {printable(str(message))}\n"
    if config["inspect"] and len(words) == 1 and words[0] not in SOURCES:
        archive = words[0]
    else:
        source, *paths = words
        archive = config["out"]
        if not archive:
            command_line.fail("--out is needed: the archive to write (.npz)")
        options = {name: config[name] for name in READER_FLAGS}
        prepare(source, paths, archive, license=config["license"], **options)
    print(printable(describe(archive)))
    if config["inspect"]:
        picture = config["sheet"] or f"{archive.removesuffix('.npz')}.png"
        draw(archive, picture, config["sheet_clips"])
        print(f"picture     {picture}")


if __name__ == "__main__":
    command_line.run(main, positional="SOURCE PATH... or --inspect FILE")

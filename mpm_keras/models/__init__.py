from mpm_keras.models.backbone import MPMBackbone
from mpm_keras.models.lifter import MPMLifter
from mpm_keras.models.presets import load_preset, save_preset
from mpm_keras.models.pretrainer import MPMPretrainer
from mpm_keras.models.refiner import MPMRefiner
from mpm_keras.models.transfer import transfer

__all__ = ["MPMBackbone", "MPMLifter", "MPMPretrainer", "MPMRefiner", "load_preset", "save_preset", "transfer"]

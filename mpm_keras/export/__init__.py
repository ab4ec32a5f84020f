from mpm_keras.export.job import FORMATS, export_preset
from mpm_keras.export.signatures import PARTS
from mpm_keras.export.verification import ExportRefused

__all__ = ["FORMATS", "PARTS", "ExportRefused", "export_preset"]

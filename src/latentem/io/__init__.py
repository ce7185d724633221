"""Data and models in and out: tables, streams, model files, checkpoints.  pyarrow is imported when a file is read."""

from .checkpoints import Checkpoint
from .model_files import load, load_with_notes, save
from .streams import ParquetSource
from .tables import Table, read_table, write_table

__all__ = ["Checkpoint", "ParquetSource", "Table", "load", "load_with_notes", "read_table", "save", "write_table"]

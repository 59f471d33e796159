"""Lists of addresses that somebody has: read row by row, each row a candidate or a fault with its line number."""

from entityflow.importing.candidates import Candidate, Columns, candidates
from entityflow.importing.formats import open_list
from entityflow.importing.rows import Fault, List, Row

__all__ = ["Candidate", "Columns", "Fault", "List", "Row", "candidates", "open_list"]

"""Any payment export, a text table and a mapping, to payment instructions. Start reading at `run`."""

from treasury_watch.adapters.importer.mapping import ImportProblem, Mapping, load_mapping, shipped
from treasury_watch.adapters.importer.run import ImportSummary, Reject, import_file

__all__ = ["ImportProblem", "ImportSummary", "Mapping", "Reject", "import_file", "load_mapping", "shipped"]

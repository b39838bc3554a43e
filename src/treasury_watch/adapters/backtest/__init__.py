"""The back-test (回测): what a rule set would have done with the payments of a file."""

from treasury_watch.adapters.backtest.labels import BadLabels, Labels, read_labels
from treasury_watch.adapters.backtest.result import Source, as_json, source_of
from treasury_watch.adapters.backtest.run import BackTest, back_test

__all__ = ["BackTest", "BadLabels", "Labels", "Source", "as_json", "back_test", "read_labels", "source_of"]

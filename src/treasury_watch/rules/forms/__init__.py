"""The forms of features, one module each; the table of them is in `rules.features`."""

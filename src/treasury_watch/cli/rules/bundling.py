"""What commands take that send rule sets: a directory, or the file that `rules sign` wrote; and keys."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from treasury_watch.cli.console import Failure, failing_on

if TYPE_CHECKING:
    from treasury_watch.adapters.approvals import Approvals
    from treasury_watch.adapters.bundles import Bundle
    from treasury_watch.adapters.settings import Settings
    from treasury_watch.adapters.signatures import SigningKey
    from treasury_watch.rules.schema import RuleSet

Source = Annotated[Path, typer.Argument(metavar="SOURCE", help="A rule directory, or a file that `rules sign` wrote.")]
Key = Annotated[Path, typer.Option("--key", metavar="FILE", help="Your private key, Ed25519 in PEM.")]
As = Annotated[str, typer.Option("--as", metavar="ROLE", help="author or approver.")]
Out = Annotated[Path, typer.Option("--out", metavar="FILE", help="Where what is signed goes, to be published.")]


def bundle_from(source: Path) -> tuple[Bundle, RuleSet]:
    """The bundle of a directory, unsigned, or of a file, and its rule set."""
    from treasury_watch.adapters.bundles import BundleError, bundle_of, decode, ruleset_of
    from treasury_watch.rules import RuleErrors

    with failing_on(RuleErrors):
        try:
            if source.is_dir():
                return bundle_of(source)
            bundle = decode(source.read_bytes())
            return bundle, ruleset_of(bundle)
        except BundleError as error:
            raise Failure(f"{source}: {error}") from error


def signing_key(path: Path) -> SigningKey:
    """The key of a file. Raises Failure."""
    from treasury_watch.adapters.secretfiles import SecretFileError
    from treasury_watch.adapters.signatures import read_signing_key

    with failing_on(SecretFileError):
        return read_signing_key(path)


def configured_approvals(settings: Settings) -> Approvals:
    """The keys that the settings name. Raises Failure."""
    from treasury_watch.adapters.approvals import ApprovalError, approvals_of

    with failing_on(ApprovalError):
        return approvals_of(settings)

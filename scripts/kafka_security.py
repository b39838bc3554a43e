"""What makes a Kafka of scripts/kafka secure: a throwaway authority, certificates, passwords, properties, rights.

Everything lies in the instance's folder `secrets`, which only its owner may enter, and is made once:

- `ca.pem`, `broker.pem` and, for who wants to be known by a certificate, `client.pem` and `client.key`. The authority's
  own key is thrown away, so nothing more can be certified in its name. openssl makes them.
- `ROLE.password` and `ROLE.env` for each role of the product and `admin`, who may do everything: `. ROLE.env` sets what
  the commands need. Env files hold paths, not passwords.
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ADMIN, BROKER = "admin", "broker"
DAYS = 3650

PROPERTIES = """\
listeners=SASL_SSL://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
listener.security.protocol.map=SASL_SSL:SASL_SSL,CONTROLLER:SSL
inter.broker.listener.name=SASL_SSL
ssl.keystore.type=PEM
ssl.keystore.location={secrets}/broker.pem
ssl.truststore.type=PEM
ssl.truststore.location={secrets}/ca.pem
listener.name.controller.ssl.client.auth=required
listener.name.sasl_ssl.ssl.client.auth=requested
sasl.enabled.mechanisms=SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required username="broker" password="{password}";
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=false
super.users=User:admin;User:broker;User:CN=broker
"""


class CannotSecure(Exception):
    """What is missing, or what went wrong, in a sentence."""


def roles() -> Sequence[str]:
    """The roles of the product, from its own table."""
    sys.path.insert(0, str(ROOT / "src"))
    from treasury_watch.adapters.acls import ROLES

    return ROLES


def make_secrets(folder: Path) -> None:
    """Certificates and passwords, unless they are there; half of them is as none."""
    if folder.exists():
        return
    if shutil.which("openssl") is None:
        raise CannotSecure("openssl is needed to make certificates; on Debian: apt-get install openssl")
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    certify(partial)
    for name in (ADMIN, BROKER, *roles()):
        write_private(partial / f"{name}.password", secrets.token_urlsafe(24) + "\n")
    partial.rename(folder)


def certify(folder: Path, names: str = "IP:127.0.0.1,DNS:localhost") -> None:
    """The authority, a certificate for a broker of these names and one for a client, on elliptic curves."""
    openssl(folder, *new_certificate("ca", "treasury-watch throwaway CA"), "-addext", "keyUsage=critical,keyCertSign")
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "basicConstraints=critical,CA:FALSE")
    openssl(folder, *new_certificate(BROKER, BROKER), *signed, "-addext", f"subjectAltName={names}")
    openssl(folder, *new_certificate("client", "client"), *signed, "-addext", "extendedKeyUsage=clientAuth")
    (folder / "ca.key").unlink()
    key = folder / "broker.key"
    with (folder / "broker.pem").open("a") as file:  # Kafka takes both from one file
        file.write(key.read_text())
    (folder / "broker.pem").chmod(0o600)
    key.unlink()


def new_certificate(name: str, common_name: str) -> list[str]:
    return [
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", str(DAYS)),
        *("-subj", f"/CN={common_name}", "-keyout", f"{name}.key", "-out", f"{name}.pem"),
    ]


def openssl(folder: Path, *arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        raise CannotSecure(f"openssl could not make a certificate:\n{done.stderr.strip()}")


def format_arguments(folder: Path) -> str:
    """Arguments for formatting the broker's data, one a line: the logins, as the broker itself needs one to start."""
    users = (ADMIN, BROKER, *roles())
    return "".join(f"--add-scram\nSCRAM-SHA-512=[name={user},password={password_of(folder, user)}]\n" for user in users)


def properties(folder: Path) -> str:
    """Lines of server.properties, in which {broker} and {controller} still stand for ports."""
    return PROPERTIES.replace("{secrets}", str(folder)).replace("{password}", password_of(folder, BROKER))


def write_env_files(folder: Path, address: str) -> None:
    """For every login a file to source; again at each start, as the address may be another."""
    for user in (ADMIN, *roles()):
        values = {
            "BOOTSTRAP_SERVERS": address,
            "SECURITY_PROTOCOL": "SASL_SSL",
            "SSL_CA_FILE": str(folder / "ca.pem"),
            "SASL_MECHANISM": "SCRAM-SHA-512",
            "SASL_USERNAME": user,
            "SASL_PASSWORD_FILE": str(folder / f"{user}.password"),
        }
        lines = (f"export TREASURY_WATCH_{name}={shlex.quote(value)}\n" for name, value in values.items())
        write_private(folder / f"{user}.env", "".join(lines))


def create_acls(folder: Path) -> None:
    """Gives every role its rights, as the product's own command does, for the topics and the group of the settings."""
    login = folder / f"{ADMIN}.env"
    command = [str(python()), "-m", "treasury_watch", "acls", "create", "--json"]
    done = subprocess.run(["sh", "-c", '. "$0"; exec "$@"', str(login), *command], capture_output=True, text=True)
    if not done.stdout.startswith("{"):  # rights that somebody has been given since are told there, and remain
        raise CannotSecure(f"the rights of the roles could not be created: {done.stderr.strip()}")


def python() -> Path:
    """An interpreter that has the product: this one, or that of the project."""
    project = ROOT / ".venv" / "bin" / "python"
    if Path(sys.prefix) == project.parent.parent or not project.exists():
        return Path(sys.executable)
    return project


def password_of(folder: Path, user: str) -> str:
    return (folder / f"{user}.password").read_text().strip()


def write_private(path: Path, content: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(content)

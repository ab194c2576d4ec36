"""A private certificate authority and what it signs, made by openssl for one test or one run."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.local.process import LocalServiceError, program

VALID_DAYS = 2
OPENSSL_S = 30.0
_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc")


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A private key (PEM, PKCS #8, not encrypted) and the certificate of it."""

    key_file: Path
    certificate_file: Path

    def pem_file(self) -> Path:
        """Key and certificate in one file, as Java's PEM key stores want it."""
        both = self.key_file.with_suffix(".both.pem")
        both.write_text(self.key_file.read_text() + self.certificate_file.read_text())
        return both


class CertificateAuthority:
    """Signs certificates for servers of this machine and for clients. Two folders, two authorities."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.ca_file = folder / "ca.pem"
        self._key_file = folder / "ca.key"
        extensions = ("-addext", "keyUsage=critical,keyCertSign")
        subject = ("-subj", f"/CN=OrderPulse test authority {folder.name}")
        self._openssl("req", "-x509", *_KEY, *subject, *extensions, *self._to(self._key_file, self.ca_file))

    def server(self, hosts: Sequence[str] = ("127.0.0.1", "localhost")) -> KeyPair:
        """For a server that is reached by these names or IPv4 addresses."""
        names = ",".join(f"{'IP' if host.replace('.', '').isdigit() else 'DNS'}:{host}" for host in hosts)
        return self._signed(f"server-{hosts[0]}", hosts[0], "-addext", f"subjectAltName={names}")

    def client(self, name: str) -> KeyPair:
        """For a client; Kafka knows it as `User:name`."""
        return self._signed(f"client-{name}", name)

    def _signed(self, file_name: str, common_name: str, *extensions: str) -> KeyPair:
        pair = KeyPair(self._folder / f"{file_name}.key", self._folder / f"{file_name}.pem")
        signer = ("-CA", str(self.ca_file), "-CAkey", str(self._key_file))
        subject = ("-subj", f"/CN={common_name}")
        basic = ("-addext", "basicConstraints=critical,CA:FALSE")
        files = self._to(pair.key_file, pair.certificate_file)
        self._openssl("req", "-x509", *signer, *_KEY, *subject, *basic, *extensions, *files)
        return pair

    @staticmethod
    def _to(key_file: Path, certificate_file: Path) -> tuple[str, ...]:
        return "-days", str(VALID_DAYS), "-keyout", str(key_file), "-out", str(certificate_file)

    @staticmethod
    def _openssl(*arguments: str) -> None:
        ended = subprocess.run(
            [program("openssl"), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=OPENSSL_S,
            check=False,
        )
        if ended.returncode != 0:
            raise LocalServiceError(f"openssl {' '.join(arguments)} failed: {ended.stderr.strip()}")

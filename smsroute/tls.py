"""TLS as the config asks for it: contexts for doors and for binds, and whether their files are any good.

Rules:
- A door shows its certificate; with `ca` it also asks clients for one: `client_certificates: required` (the default)
  lets nobody in without, `optional` takes who has none and refuses who shows a bad one.
- Towards a carrier the certificate is verified, chain, dates and name, unless `verify: false` says otherwise.
- Nothing older than TLS 1.2 (Python's own default contexts).
- Files that do not fit together are errors of the config like any other: `prove` finds them before a start and before
  a reload, so that a bad new certificate never takes the place of a good old one.

Walk: `engine` and `esmes/listener` take `server_context`, `carriers/bind` takes `client_context`; `cli/serve` and
`cli/check` load by `load_proven`.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path

from smsroute.config import Config, ConfigError, ConfigErrors, Tls, load


def server_context(tls: Tls) -> ssl.SSLContext:
    """The context of a TLS door. Raises OSError (ssl.SSLError is one) when a file is missing or no good."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=_text(tls.ca))
    if tls.ca is not None:
        required = tls.client_certificates == "required"
        context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    assert tls.certificate is not None, "the loader demands a certificate of a TLS door"
    context.load_cert_chain(tls.certificate, tls.key, _no_passphrase)
    return context


def client_context(tls: Tls) -> ssl.SSLContext:
    """The context of a bind. Raises as `server_context`."""
    context = ssl.create_default_context(cafile=_text(tls.ca))
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.certificate is not None:
        context.load_cert_chain(tls.certificate, tls.key, _no_passphrase)
    return context


def load_proven(directory: Path, environ: Mapping[str, str]) -> Config:
    """`config.load`, and every TLS file it names tried. Raises ConfigErrors."""
    config = load(directory, environ)
    errors = list(dict.fromkeys(prove(config)))
    if errors:
        raise ConfigErrors(errors, list(config.warnings))
    return config


def prove(config: Config) -> Iterator[ConfigError]:
    """What is wrong with the TLS files of a config, each told at the file."""
    for door in config.listen:
        if door.tls is not None:
            yield from _faults(door.tls, server=True)
    for carrier in config.carriers.values():
        for bind in carrier.binds:
            if bind.tls is not None:
                yield from _faults(bind.tls, server=False)


def expiries(config: Config) -> dict[tuple[str, str], float]:
    """When the certificates that we show end, Unix seconds: of doors by address, and of carriers that ask for ours. Of
    a chain the first to end counts. Raises OSError and ValueError for files that are no good."""
    shown = [("door", f"{door.host}:{door.port}", door.tls) for door in config.listen]
    shown += [("carrier", carrier.name, bind.tls) for carrier in config.carriers.values() for bind in carrier.binds]
    return {(what, name): _expires_at(tls.certificate) for what, name, tls in shown if tls and tls.certificate}


def _expires_at(certificate: Path) -> float:
    from cryptography import x509  # 40 ms, and most configs have no certificate

    chain = x509.load_pem_x509_certificates(certificate.read_bytes())
    return min(one.not_valid_after_utc.timestamp() for one in chain)


def _faults(tls: Tls, *, server: bool) -> Iterator[ConfigError]:
    if tls.ca is not None:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(tls.ca)
        except OSError as fault:
            yield ConfigError(str(tls.ca), 0, 0, f"`ca` {_said(fault)}, expected PEM certificates")
            return
    try:
        server_context(tls) if server else client_context(tls)
    except OSError as fault:
        if getattr(fault, "reason", "") == "KEY_VALUES_MISMATCH":
            wanted = f"expected the key of `{tls.certificate}`"
            yield ConfigError(str(tls.key), 0, 0, f"`key` is of another certificate, {wanted}")
        else:
            what = f"`certificate` or its `key` {_said(fault)}"
            yield ConfigError(str(tls.certificate), 0, 0, f"{what}, expected PEM, the key without a passphrase")


def _said(fault: OSError) -> str:
    if isinstance(fault, ssl.SSLError):
        return "cannot be read as PEM"
    return f"cannot be read: {(fault.strerror or str(fault)).lower()}"


def _no_passphrase() -> str:
    """A key with a passphrase would have OpenSSL ask at the terminal; there is nobody there."""
    raise ssl.SSLError("the key has a passphrase")


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def names_of(stream: object) -> frozenset[str]:
    """The names in the certificate the peer of a TLS stream has shown and that was verified; none without one."""
    ask = getattr(stream, "getpeercert", None)
    shown = (ask() if ask is not None else None) or {}
    subject = {value for part in shown.get("subject", ()) for key, value in part if key == "commonName"}
    return frozenset(subject | {value for _, value in shown.get("subjectAltName", ())})


class DoorTls:
    """The certificate a door shows: that of its files when they were last taken."""

    def __init__(self, tls: Tls) -> None:
        """Raises as `server_context`."""
        self._tls = tls
        self._context = server_context(tls)
        self._octets = self._read()

    def __call__(self) -> ssl.SSLContext:
        """For a link that comes in now."""
        return self._context

    def renew(self) -> bool:
        """Take the files as they are now, for links to come; says whether they changed. Raises as `server_context`,
        and then nothing has changed."""
        octets = self._read()
        if octets == self._octets:
            return False
        self._context = server_context(self._tls)
        self._octets = octets
        return True

    def _read(self) -> list[bytes]:
        paths = (self._tls.certificate, self._tls.key, self._tls.ca)
        return [path.read_bytes() for path in paths if path is not None]

"""Certificates made for a test."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def make(*names: str, days: float = 30, password: bytes = b"") -> tuple[bytes, bytes]:
    """Certificate and key, in PEM, self-signed for these names."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    until = datetime.now(UTC) + timedelta(days=days)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(until - timedelta(days=90))
        .not_valid_after(until)
    )
    if names:
        alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        builder = builder.add_extension(alternatives, critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    kept = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption(),
    )
    return certificate.public_bytes(serialization.Encoding.PEM), kept


def put(path: Path, *names: str, days: float = 30) -> bytes:
    """One file with both, readable by its owner alone. Returns the certificate, in PEM."""
    certificate, key = make(*names, days=days)
    path.touch(0o600)
    path.write_bytes(certificate + key)
    return certificate

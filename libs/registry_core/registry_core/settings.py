"""Settings from the environment (`HALLMARK_…`), `hallmark.toml` in the working folder, and defaults, in this order."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource


class Settings(BaseSettings):
    """Every setting of every service. `hallmark settings` prints them as they are in force."""

    model_config = SettingsConfigDict(
        env_prefix="HALLMARK_", toml_file="hallmark.toml", extra="forbid", env_ignore_empty=True
    )

    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535)
    public_url: str = ""
    """Where people and sources reach this installation, e.g. `https://models.example.com`. Empty: as each request did;
    signing in at an issuer needs it, but on loopback."""
    data_dir: Path = Path("var")
    """Keys, checkpoints handed out and, on the local stack, the database."""

    postgres_dsn: SecretStr = SecretStr("")
    """As the role `hallmark_service`. Empty: the local stack."""
    postgres_ledger_dsn: SecretStr = SecretStr("")
    """As the role `hallmark_ledger`, which alone may seal and add checkpoints; for the ledger alone."""
    postgres_owner_dsn: SecretStr = SecretStr("")
    """As an owner; when set, the schema is installed at start."""
    pool_size: int = Field(10, ge=2)

    privacy_key: SecretStr = SecretStr("")
    """Base64 of 32 random bytes, the same for ingestion and lifecycle. Empty: `keys/privacy.pem` in the data folder."""

    session_minutes: int = Field(480, ge=5, le=1440)
    """How long somebody who signed in at an issuer stays signed in."""
    oidc_issuer: str = ""
    """Of the people: where they sign in, exactly as in its tokens' `iss`."""
    oidc_client_id: str = ""
    oidc_client_secret: SecretStr = SecretStr("")
    """Of the console. Empty: a public client, by PKCE alone."""
    oidc_cli_client_id: str = ""
    """A public client for `hallmark login`. Empty: the console's."""
    oidc_scopes: str = "openid email profile"
    oidc_name: str = ""
    """The issuer as people call it. Empty: its host."""
    oidc_audience: str = ""
    """For whom bearer tokens have to be made; several by commas. The client ids count beside it."""
    oidc_issuers: str = ""
    """Further issuers of bearer tokens, by commas: CI systems."""
    oidc_clock_skew: float = Field(60.0, ge=0, le=600)
    oidc_roles_claim: str = ""
    """Where set, an account is made at somebody's first sign-in, with the roles that this claim says."""
    oidc_roles: str = ""
    """`theirs=ours,…`, e.g. `ml-reviewers=reviewer:risk`."""
    token_days: int = Field(90, ge=1)
    """For how long a person's token is good where nobody says how long."""
    token_max_days: int = Field(365, ge=1)
    """The longest that a token may be good; a service account's is, where nobody says how long."""

    rate_account: float = Field(200.0, ge=0)
    """Requests per second of one account in one process, and ten times as many at once. 0: no limit."""
    rate_address: float = Field(20.0, ge=0)
    """The same of one client address, for requests without an account."""
    rate_failures: float = Field(1.0, ge=0)
    """The same of one client address, for tokens that open nothing."""
    trusted_proxies: str = ""
    """Comma-separated addresses and networks whose `X-Forwarded-For` and `-Proto` count; by default nobody's."""

    kafka_bootstrap: str = ""
    """Empty: consumers follow the log alone, which needs no broker."""
    kafka_flavour: Literal["kafka", "tansu"] = "kafka"
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    kafka_username: str = ""
    kafka_password: SecretStr = SecretStr("")
    kafka_partitions: int = Field(4, ge=1, le=1024)
    """Of every registry topic; the sealer assigns them, so it is one number for all services."""

    kafka_replication: int = Field(1, ge=1, le=32)
    """Replicas of the topics that are created here; 3 on a cluster."""

    objects_url: str = ""
    """`s3://bucket/prefix` or `file:///folder`. Empty: `objects/` in the data folder."""
    objects_endpoint: str = ""
    """Of an S3-compatible server, e.g. `http://objects:8333`."""
    objects_access_key: str = ""
    objects_secret_key: SecretStr = SecretStr("")
    max_artifact_bytes: int = Field(20 * 1024**3, gt=0)

    delivery_days: float = Field(30.0, gt=0)
    """How long deliveries of sources are kept in the inbox, and so known when they come again."""
    source_grace_seconds: float = Field(86_400.0, ge=0)
    """How long a source's former secret is taken after a new one, unless the rotation says otherwise."""
    source_poll_seconds: float = Field(300.0, gt=0)
    """How often connected MLflow servers and Hugging Face repositories are asked what is true."""
    source_settle_seconds: float = Field(10.0, ge=0)
    """How long a change that a poll finds may still be announced by a webhook before it is recorded as drift."""
    huggingface_endpoint: str = "https://huggingface.co"
    """Where `hf://` imports come from: the hub, or a mirror of its API."""
    huggingface_token: SecretStr = SecretStr("")
    """For private and gated repositories of that endpoint."""

    provision_dir: Path | None = None
    """Where deployment manifests go. Default: `deployments/` in the data folder."""
    checkpoint_origin: str = "hallmark.local/log"
    checkpoint_seconds: float = Field(5.0, gt=0)
    witnesses: str = ""
    """Comma-separated places for checkpoints beside the data folder: `file:///…`, `s3://…`, `https://…` (C2SP)."""
    sweep_seconds: float = Field(60.0, gt=0)
    """How often the lifecycle scheduler looks for what is due."""
    movable_clock: bool = False
    """Lets an administrator run a sweep as of a future time. For demonstrations and tests only."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"
    otlp_endpoint: str = ""
    """OTLP over HTTP, e.g. `http://collector:4318`. Empty: traces stay in the process."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

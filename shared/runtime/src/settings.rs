use std::{net::SocketAddr, time::Duration};

use tidegate_auth::{TlsFiles, TokenSettings};
use tidegate_rpc::server::{ConnectionLimits, MAX_CONNECTIONS};
use tidegate_telemetry::Sampling;
use tidegate_types::ReplicaId;

use crate::Environment;

/// What every service process is told.
#[derive(Debug, Clone)]
pub struct HostSettings {
    /// Where gRPC is served, over TLS.
    pub listen: SocketAddr,
    /// Where `/livez`, `/readyz` and `/metrics` are served, in plain HTTP.
    pub admin_listen: SocketAddr,
    /// This copy's name.
    pub replica: ReplicaId,
    /// Its certificate.
    pub tls: TlsFiles,
    /// The collector for traces, such as `http://127.0.0.1:4317`; none if unset.
    pub otlp_endpoint: Option<String>,
    /// The share of new stories that is recorded; none without a collector.
    pub sampling: Sampling,
    /// `info`, or a finer filter.
    pub log_filter: String,
    /// Between saying "not serving" and taking no more calls, so that callers go elsewhere first.
    pub lame_duck: Duration,
    /// The longest that calls in flight may take after that.
    pub drain: Duration,
    /// How many connections one address may have, and for how long.
    pub connections: ConnectionLimits,
}

impl HostSettings {
    /// Reads the settings that all services share.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        let listen = environment.listen_address("TIDEGATE_LISTEN");
        let admin_listen = environment.listen_address("TIDEGATE_ADMIN_LISTEN");
        let replica = environment.required("TIDEGATE_REPLICA_ID", |value| ReplicaId::parse(value));
        let ca = environment.file("TIDEGATE_TLS_CA_FILE");
        let certificate = environment.file("TIDEGATE_TLS_CERT_FILE");
        let key = environment.file("TIDEGATE_TLS_KEY_FILE");
        let otlp_endpoint =
            environment.optional("TIDEGATE_OTLP_ENDPOINT", None, |value| match value
                .parse::<axum::http::Uri>()
            {
                Ok(uri) if uri.scheme().is_some() && uri.host().is_some() => {
                    Ok(Some(value.to_owned()))
                }
                _ => Err("must be a URL such as http://127.0.0.1:4317"),
            });
        let trace_sample_ratio = environment.number("TIDEGATE_TRACE_SAMPLE_RATIO", 0.01, 0.0, 1.0);
        let log_filter = environment.optional("TIDEGATE_LOG", "info".to_owned(), |value| {
            Ok::<_, String>(value.to_owned())
        });
        let lame_duck = environment.milliseconds("TIDEGATE_LAME_DUCK_MS", 0, 0, 60_000);
        let drain = environment.milliseconds("TIDEGATE_DRAIN_MS", 10_000, 0, 120_000);
        let connections = connection_limits(environment);
        let otlp_endpoint = otlp_endpoint?;
        let ratio = trace_sample_ratio?;
        Some(Self {
            listen: listen?,
            admin_listen: admin_listen?,
            replica: replica?,
            tls: TlsFiles {
                ca: ca?,
                certificate: certificate?,
                key: key?,
            },
            sampling: Sampling(if otlp_endpoint.is_some() { ratio } else { 0.0 }),
            otlp_endpoint,
            log_filter: log_filter?,
            lame_duck: lame_duck?,
            drain: drain?,
            connections: connections?,
        })
    }
}

fn connection_limits(environment: &mut Environment) -> Option<ConnectionLimits> {
    let usual = ConnectionLimits::default();
    let ms = |duration: Duration| duration.as_millis() as u64;
    let per_address = environment.number(
        "TIDEGATE_MAX_CONNECTIONS_PER_ADDRESS",
        usual.per_address,
        1,
        MAX_CONNECTIONS,
    );
    let idle = environment.milliseconds(
        "TIDEGATE_CONNECTION_IDLE_MS",
        ms(usual.idle),
        1_000,
        86_400_000,
    );
    let age = environment.milliseconds(
        "TIDEGATE_CONNECTION_AGE_MS",
        ms(usual.age),
        1_000,
        86_400_000,
    );
    Some(ConnectionLimits {
        per_address: per_address?,
        idle: idle?,
        age: age?,
    })
}

/// Reads what tokens must say, for the services that take them.
pub fn read_token_settings(environment: &mut Environment) -> Option<TokenSettings> {
    let jwks_file = environment.file("TIDEGATE_JWKS_FILE");
    let issuer = environment.required("TIDEGATE_JWT_ISSUER", |value| {
        Ok::<_, String>(value.to_owned())
    });
    let audience = environment.required("TIDEGATE_JWT_AUDIENCE", |value| {
        Ok::<_, String>(value.to_owned())
    });
    Some(TokenSettings {
        jwks_file: jwks_file?,
        issuer: issuer?,
        audience: audience?,
    })
}

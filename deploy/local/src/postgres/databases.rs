//! Roles and databases: each service owns one, and can connect to no other.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result};
use rand::Rng;
use sqlx::{ConnectOptions, Connection, Executor, PgConnection, postgres::PgConnectOptions};
use tidegate_ctl::keys::write_secret;
use tidegate_pg::CHANGE_LOG;

use crate::service::Service;

const PASSWORD_LENGTH: usize = 32;

#[derive(Debug)]
pub(super) struct Passwords(BTreeMap<Service, String>);

impl Passwords {
    pub(super) fn load_or_make(home: &Path) -> Result<Self> {
        let passwords = Service::WITH_DATABASE.map(|service| {
            let file = home.join(format!("{}.password", service.name().replace('-', "_")));
            Ok((service, password_in(&file)?))
        });
        Ok(Self(passwords.into_iter().collect::<Result<_>>()?))
    }

    pub(super) fn of(&self, service: Service) -> &str {
        self.0.get(&service).map_or("", String::as_str)
    }
}

/// The password in a file, made if there is none.
pub(super) fn password_in(file: &Path) -> Result<String> {
    if let Ok(password) = fs::read_to_string(file) {
        return Ok(password);
    }
    let letters = rand::rng().sample_iter(rand::distr::Alphanumeric);
    let password: String = letters.take(PASSWORD_LENGTH).map(char::from).collect();
    write_secret(file, &password)?;
    Ok(password)
}

async fn connect(superuser: &PgConnectOptions) -> Result<PgConnection> {
    let connection = superuser.connect().await;
    connection.context("PostgreSQL cannot be reached with the superuser's URL")
}

/// Makes the roles and databases that are missing and sets the passwords.
pub(super) async fn create(
    superuser: &PgConnectOptions,
    prefix: &str,
    passwords: &Passwords,
) -> Result<()> {
    let mut connection = connect(superuser).await?;
    for service in Service::WITH_DATABASE {
        let name = service.database(prefix);
        let role = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)");
        let role_exists: bool = role.bind(&name).fetch_one(&mut connection).await?;
        let verb = if role_exists { "ALTER" } else { "CREATE" };
        // Names and passwords are our own letters and digits: DDL takes no parameters.
        connection
            .execute(format!("{verb} ROLE \"{name}\" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD '{}'", passwords.of(service)).as_str())
            .await
            .with_context(|| format!("The role {name} cannot be made: the URL must be a superuser's"))?;
        let there =
            sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)");
        let database_exists: bool = there.bind(&name).fetch_one(&mut connection).await?;
        if !database_exists {
            connection
                .execute(format!("CREATE DATABASE \"{name}\" OWNER \"{name}\" TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'").as_str())
                .await
                .with_context(|| format!("The database {name} cannot be made"))?;
        }
        connection
            .execute(format!("REVOKE ALL ON DATABASE \"{name}\" FROM PUBLIC").as_str())
            .await?;
        protect_change_log(superuser, &name).await?;
    }
    connection.close().await?;
    Ok(())
}

/// Makes the record of what staff change, as the superuser: the service can then only add to it.
async fn protect_change_log(superuser: &PgConnectOptions, database: &str) -> Result<()> {
    let mut connection = superuser.clone().database(database).connect().await?;
    let made = sqlx::raw_sql(CHANGE_LOG).execute(&mut connection).await;
    made.with_context(|| format!("The record of changes in {database} cannot be made"))?;
    connection.close().await?;
    Ok(())
}

/// Drops the databases, cutting whoever uses them, and their roles.
pub(super) async fn drop_all(superuser: &PgConnectOptions, prefix: &str) -> Result<()> {
    let mut connection = connect(superuser).await?;
    for service in Service::WITH_DATABASE {
        let name = service.database(prefix);
        for statement in [
            format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)"),
            format!("DROP ROLE IF EXISTS \"{name}\""),
        ] {
            connection.execute(statement.as_str()).await?;
        }
    }
    connection.close().await?;
    Ok(())
}

/// The URL of a role's own database on the server that `superuser` reaches.
pub(super) fn url_at(superuser: &PgConnectOptions, role: &str, password: &str) -> String {
    let port = superuser.get_port();
    match superuser.get_socket() {
        // A host before the path is required by the syntax; the parameter wins.
        Some(folder) => format!(
            "postgres://{role}:{password}@localhost:{port}/{role}?host={}",
            folder.display().to_string().replace('/', "%2F")
        ),
        None => format!(
            "postgres://{role}:{password}@{}:{port}/{role}",
            superuser.get_host()
        ),
    }
}

//! Where a URL leads, and that everything in it is meant for somebody. The driver passes over
//! what it does not know, and prints it.

use std::path::Path;

use sqlx::postgres::PgConnectOptions;
use tenure_store::{Error, ErrorKind, Result};

/// The settings that the driver knows. Those in the first line name a file.
const FILES: [&str; 7] = [
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
];
const OTHERS: [&str; 11] = [
    "sslmode",
    "ssl-mode",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

/// The driver's settings for a URL. Its parser's own words may repeat what is in it, and so does
/// no error here.
pub(crate) fn address(url: &str) -> Result<PgConnectOptions> {
    let settings = url.split_once('?').map_or("", |(_, settings)| settings);
    for setting in settings.split('&').filter(|setting| !setting.is_empty()) {
        check(setting)?;
    }
    let options: PgConnectOptions = url.parse().map_err(|_| {
        misconfigured(
            "this is no PostgreSQL URL, or a setting in it has a value that it cannot have: \
             postgres://user@host:port/database?sslmode=require",
        )
    })?;
    // An address of version 6 has brackets in a URL, and nowhere else.
    let host = options.get_host().strip_prefix('[');
    let host = host
        .and_then(|host| host.strip_suffix(']'))
        .map(str::to_owned);
    let options = match host {
        Some(host) => options.host(&host),
        None => options,
    };
    // Nothing here is a fraction; and poolers refuse settings that they do not know.
    Ok(options.extra_float_digits(None))
}

fn check(setting: &str) -> Result<()> {
    let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
    let is_option = name.starts_with("options[") || name.starts_with("options%5B");
    if is_option || OTHERS.contains(&name) {
        return Ok(());
    }
    if !FILES.contains(&name) {
        return Err(misconfigured(format!(
            "a PostgreSQL URL has the settings {}, {}, and options[…], and here is another",
            OTHERS.join(", "),
            FILES.join(", "),
        )));
    }
    let value = decoded(value);
    if value.trim_start().starts_with("-----BEGIN") || Path::new(&value).is_file() {
        return Ok(());
    }
    Err(misconfigured(format!(
        "the file that {name} names is not there"
    )))
}

/// Percent encoding undone.
fn decoded(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, more @ ..] = rest {
        rest = more;
        let code = more
            .get(..2)
            .and_then(|code| std::str::from_utf8(code).ok());
        let code = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        match (first, code) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = more.get(2..).unwrap_or_default();
            }
            (b'+', _) => bytes.push(b' '),
            (byte, _) => bytes.push(*byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn misconfigured(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Misconfigured, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_of_a_url_is_known_or_refused() {
        for good in [
            "postgres://u:p@host/db",
            "postgresql://host",
            "postgres://u@host:5433/db?sslmode=require&application_name=a",
            "postgres:///db?host=/run/postgresql&user=u",
            "postgres://host/db?options=-c%20search_path%3Dsessions",
            "postgres://host/db?options[search_path]=sessions",
        ] {
            address(good).unwrap_or_else(|error| panic!("{good}: {error}"));
        }
        for bad in [
            "postgres://host/db?pool=transaction",
            "postgres://host/db?reader=9",
            "postgres://host/db?ssl=hush",
            "postgres://host/db?sslmode=hush",
            "postgres://host/db?port=hush",
            "postgres://host/db?SSLMODE=require",
            "postgres://host/db?connect_timeout=5",
            "postgres://host/db?sslrootcert=/no/such/hush.pem",
            "postgres://host/db?sslkey=%2Fno%2Fhush",
            "postgres://host:hush/db",
        ] {
            let error = address(bad).expect_err(bad);
            assert_eq!(error.kind(), ErrorKind::Misconfigured, "{bad}");
            let shown = format!("{error:?} {error}");
            assert!(!shown.contains("hush"), "{shown}");
        }
    }

    #[test]
    fn an_address_of_version_6_is_taken_without_its_brackets() {
        let options = address("postgres://u@[::1]:5432/db").expect("a good URL");
        assert_eq!((options.get_host(), options.get_port()), ("::1", 5432));
    }

    #[test]
    fn a_file_is_found_by_its_decoded_name() {
        let here = concat!(env!("CARGO_MANIFEST_DIR"), "%2F%43argo.toml");
        address(&format!("postgres://host/db?sslrootcert={here}")).expect("it is there");
        assert_eq!(decoded("%2Fa+b%"), "/a b%");
    }
}

//! What stands behind the `?` of a URL: settings of ours, and those that are the driver's.

#[cfg(any(feature = "postgres", feature = "redis"))]
use std::str::FromStr;
#[cfg(any(feature = "postgres", feature = "redis"))]
use std::time::Duration;

use tenure_store::Result;

use crate::misconfigured;

/// The settings of a URL, taken out one by one.
pub(crate) struct Settings<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Settings<'a> {
    /// What stands before the `?`, and the settings.
    pub(crate) fn split(rest: &'a str) -> (&'a str, Self) {
        let (address, settings) = rest.split_once('?').unwrap_or((rest, ""));
        let settings = settings.split('&').filter(|setting| !setting.is_empty());
        let settings = settings.map(|setting| setting.split_once('=').unwrap_or((setting, "")));
        (address, Self(settings.collect()))
    }

    /// The value of a setting, if it is there.
    pub(crate) fn take(&mut self, name: &str) -> Option<&'a str> {
        let place = self.0.iter().position(|(key, _)| *key == name)?;
        Some(self.0.remove(place).1)
    }

    /// The number that is the value of a setting, if it is there.
    #[cfg(any(feature = "postgres", feature = "redis"))]
    pub(crate) fn number<N: FromStr>(&mut self, name: &str) -> Result<Option<N>> {
        let value = self.take(name).map(str::parse).transpose();
        value.map_err(|_| misconfigured(format!("{name} is no number, or out of range")))
    }

    /// The value of `deadline_ms`, if it is there.
    #[cfg(any(feature = "postgres", feature = "redis"))]
    pub(crate) fn deadline(&mut self) -> Result<Option<Duration>> {
        Ok(self.number("deadline_ms")?.map(Duration::from_millis))
    }

    /// Refuses what nobody has taken out.
    #[cfg(any(feature = "redis", feature = "sqlite"))]
    pub(crate) fn are_all_known(&self, known: &str) -> Result<()> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(misconfigured(format!(
                "this URL knows the settings {known}"
            )))
        }
    }

    /// What nobody has taken out, as a URL has it.
    #[cfg(feature = "postgres")]
    pub(crate) fn rest(&self) -> String {
        let pairs: Vec<String> = self.0.iter().map(|(k, v)| format!("{k}={v}")).collect();
        pairs.join("&")
    }
}

/// Text without its percent encoding.
#[cfg(any(feature = "redis", feature = "sqlite"))]
pub(crate) fn decoded(text: &str) -> Result<String> {
    let malformed = || misconfigured("the URL is not well encoded: write % as %25");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes().iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next(), rest.next()].map(|digit| digit.copied().unwrap_or(0));
                let digits = str::from_utf8(&digits).map_err(|_| malformed())?;
                // The parser would take a sign.
                let digits = digits.trim_start_matches('+');
                if digits.len() < 2 {
                    return Err(malformed());
                }
                u8::from_str_radix(digits, 16).map_err(|_| malformed())?
            }
            byte => *byte,
        });
    }
    String::from_utf8(bytes).map_err(|_| malformed())
}

#[cfg(all(test, any(feature = "redis", feature = "sqlite")))]
mod tests {
    use super::*;

    #[test]
    fn a_password_loses_its_percent_encoding() {
        assert_eq!(decoded("a%40b%25").expect("well encoded"), "a@b%");
        assert!(decoded("%").is_err() && decoded("%+1").is_err() && decoded("%zz").is_err());
    }
}

//! Values of settings, as files and variables have them.

use std::{
    fmt,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use serde::{Deserialize, de::IgnoredAny};

use crate::{
    introspection::JwtIntrospection,
    jose::Algorithm,
    redact::{self, REDACTED},
    resource_server::Startup,
};

/// The longest secret that is read from a file, in bytes. A longer file is the wrong file.
const MAX_SECRET: u64 = 16 * 1024;

/// A time or a size: a number or a string. Parsed later, so that its fault is reported with all others.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Scalar")]
pub(super) struct Quantity(String);

#[derive(Deserialize)]
#[serde(untagged, expecting = "a number or a string")]
enum Scalar {
    Integer(i64),
    Float(f64),
    Text(String),
}

impl From<Scalar> for Quantity {
    fn from(scalar: Scalar) -> Self {
        Self(match scalar {
            Scalar::Integer(number) => number.to_string(),
            Scalar::Float(number) => number.to_string(),
            Scalar::Text(text) => text,
        })
    }
}

impl From<String> for Quantity {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl Quantity {
    pub(super) fn duration(&self) -> Result<Duration, String> {
        self.as_duration().ok_or_else(|| {
            format!(
                "{:?} is not a duration; write a whole number and one of ms, s, min, h and d, such as \"30s\", or a number of \
                 seconds",
                self.0
            )
        })
    }

    fn as_duration(&self) -> Option<Duration> {
        let (number, unit) = self.0.split_at(self.0.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.0.len()));
        let number: u64 = number.parse().ok()?;
        let seconds = |in_one: u64| number.checked_mul(in_one).map(Duration::from_secs);
        match unit {
            "ms" => Some(Duration::from_millis(number)),
            "" | "s" => seconds(1),
            "min" => seconds(60),
            "h" => seconds(60 * 60),
            "d" => seconds(24 * 60 * 60),
            _ => None,
        }
    }

    pub(super) fn size(&self) -> Result<usize, String> {
        self.whole()
    }

    pub(super) fn count(&self) -> Result<u32, String> {
        self.whole()
    }

    fn whole<N: FromStr>(&self) -> Result<N, String> {
        let number = self.0.bytes().all(|byte| byte.is_ascii_digit()).then(|| self.0.parse().ok()).flatten();
        number.ok_or_else(|| format!("{:?} is not a whole number, or is too large", self.0))
    }

    pub(super) fn jwt_introspection(&self) -> Result<JwtIntrospection, String> {
        match self.0.as_str() {
            "instead" => Ok(JwtIntrospection::Instead),
            "where-required" => Ok(JwtIntrospection::WhereRequired),
            text => self.as_duration().map(JwtIntrospection::NoOlderThan).ok_or_else(|| {
                format!(
                    "{text:?} is not a way to introspect JWTs; write \"where-required\", \"instead\", or how old a cached \
                     response may be, such as \"10s\""
                )
            }),
        }
    }

    pub(super) fn startup(&self) -> Result<Startup, String> {
        match self.0.as_str() {
            "fail-fast" => Ok(Startup::FailFast),
            "lazy" => Ok(Startup::Lazy),
            text => self.as_duration().map(Startup::WaitAtMost).ok_or_else(|| {
                format!(
                    "{text:?} is not a way to start up; write \"lazy\", \"fail-fast\", or how long to wait, such as \"5s\""
                )
            }),
        }
    }
}

/// One string, or a list of them.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "OneOrMany")]
pub(super) struct List(pub(super) Vec<String>);

#[derive(Deserialize)]
#[serde(untagged, expecting = "a string, or a list of strings")]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl From<OneOrMany> for List {
    fn from(texts: OneOrMany) -> Self {
        match texts {
            OneOrMany::One(text) => Self(vec![text]),
            OneOrMany::Many(texts) => Self(texts),
        }
    }
}

/// A URL, whose `Debug` omits what may be secret in it.
#[derive(Clone, Deserialize)]
pub(super) struct Address(pub(super) String);

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        redact::url(&self.0).fmt(f)
    }
}

/// A string that is never shown. Other types are accepted here and refused later, since an error of the format's reader would
/// quote them.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Secret {
    Text(String),
    Other(IgnoredAny),
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl Secret {
    pub(super) fn text(self) -> Result<String, String> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Other(_) => Err("is not a string".into()),
        }
    }

    /// The secret, given by itself or by its file.
    pub(super) fn from_either(value: Option<Self>, file: Option<PathBuf>) -> Result<String, String> {
        match (value, file) {
            (Some(_), Some(_)) => Err("is given both directly and by a file; keep one of them".into()),
            (Some(value), None) => value.text(),
            (None, Some(file)) => Self::read(&file).map_err(|fault| format!("the file {file:?} {fault}")),
            (None, None) => Err("is missing; set it, or name the file that holds it".into()),
        }
    }

    /// The content of the file, without the line break that editors and `echo` put at its end.
    fn read(path: &Path) -> Result<String, String> {
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(MAX_SECRET + 1).read_to_end(&mut bytes))
            .map_err(|error| format!("cannot be read: {error}"))?;
        if bytes.len() as u64 > MAX_SECRET {
            return Err(format!("has more than {MAX_SECRET} bytes, too many for a secret; check the path"));
        }
        // A byte order mark would be taken for a part of the secret. Some shells write UTF-16 with one.
        if [&b"\xef\xbb\xbf"[..], b"\xff\xfe", b"\xfe\xff"].iter().any(|mark| bytes.starts_with(mark)) {
            return Err("begins with a byte order mark; save it as UTF-8 without one".into());
        }
        let mut text = String::from_utf8(bytes)
            .map_err(|_| "is not UTF-8; a secret is text, as `openssl rand -hex 32` writes it")?;
        if text.ends_with('\n') {
            text.pop();
            if text.ends_with('\r') {
                text.pop();
            }
        }
        if text.is_empty() { Err("is empty".into()) } else { Ok(text) }
    }
}

/// The algorithm of a registered name.
pub(super) fn algorithm(name: &str) -> Result<Algorithm, String> {
    Algorithm::from_name(name).ok_or_else(|| {
        let all: Vec<&str> = Algorithm::ALL.iter().map(|algorithm| algorithm.as_str()).collect();
        format!("{name:?} is not supported; use one of {}", all.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantity(text: &str) -> Quantity {
        Quantity(text.to_owned())
    }

    #[test]
    fn a_duration_is_a_whole_number_and_a_unit() {
        for (text, milliseconds) in [
            ("0", 0),
            ("30", 30_000),
            ("007s", 7_000),
            ("250ms", 250),
            ("5min", 300_000),
            ("24h", 86_400_000),
            ("30d", 2_592_000_000),
        ] {
            assert_eq!(quantity(text).duration(), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        assert_eq!(quantity("18446744073709551615").duration(), Ok(Duration::from_secs(u64::MAX)));
        assert_eq!(quantity("18446744073709551615ms").duration(), Ok(Duration::from_millis(u64::MAX)));
        for text in [
            "",
            "s",
            "-1s",
            "+1s",
            "1.5s",
            "1 s",
            " 1s",
            "1s ",
            "1S",
            "1m",
            "1M",
            "1sec",
            "1h30min",
            "1\u{0660}s",
            "\u{0661}s",
            "1us",
            "1e3",
            "0x1",
            "18446744073709551616",
            "18446744073709551615min",
            "307445734561825861min",
        ] {
            assert!(quantity(text).duration().unwrap_err().contains("is not a duration"), "{text}");
        }
    }

    #[test]
    fn a_size_is_a_whole_number() {
        assert_eq!(quantity("0").size(), Ok(0));
        assert_eq!(quantity("16384").size(), Ok(16384));
        for text in ["", "+1", "-1", "1k", "1.0", " 1", "99999999999999999999999"] {
            assert!(quantity(text).size().is_err(), "{text}");
        }
    }

    #[test]
    fn start_up_is_a_name_or_a_time() {
        assert_eq!(quantity("lazy").startup(), Ok(Startup::Lazy));
        assert_eq!(quantity("fail-fast").startup(), Ok(Startup::FailFast));
        assert_eq!(quantity("5s").startup(), Ok(Startup::WaitAtMost(Duration::from_secs(5))));
        for text in ["", "Lazy", "fail_fast", "5 s"] {
            assert!(quantity(text).startup().is_err(), "{text}");
        }
    }

    #[test]
    fn a_count_is_a_whole_number_of_32_bits() {
        assert_eq!(quantity("0").count(), Ok(0));
        assert_eq!(quantity("4294967295").count(), Ok(u32::MAX));
        for text in ["", "-1", "1.0", "4294967296", "99999999999999999999999"] {
            assert!(quantity(text).count().unwrap_err().contains("is not a whole number"), "{text}");
        }
    }

    #[test]
    fn a_check_of_jwts_is_a_name_or_a_time() {
        assert_eq!(quantity("where-required").jwt_introspection(), Ok(JwtIntrospection::WhereRequired));
        assert_eq!(quantity("instead").jwt_introspection(), Ok(JwtIntrospection::Instead));
        assert_eq!(quantity("10s").jwt_introspection(), Ok(JwtIntrospection::NoOlderThan(Duration::from_secs(10))));
        assert_eq!(quantity("0").jwt_introspection(), Ok(JwtIntrospection::NoOlderThan(Duration::ZERO)));
        for text in ["", "Instead", "where_demanded", "10 s", "always"] {
            assert!(quantity(text).jwt_introspection().is_err(), "{text}");
        }
    }

    #[test]
    fn a_secret_is_read_from_its_file_but_for_one_line_break() {
        let folder = std::env::temp_dir().join(format!("scopegate-secret-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("secret");
        let read = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            Secret::from_either(None, Some(path.clone()))
        };
        for (content, secret) in [
            ("s3cret", "s3cret"),
            ("s3cret\n", "s3cret"),
            ("s3cret\r\n", "s3cret"),
            ("s3cret\n\n", "s3cret\n"),
            (" s3cret \n", " s3cret "),
            ("s3cret\r", "s3cret\r"),
        ] {
            assert_eq!(read(content.as_bytes()).as_deref(), Ok(secret));
        }
        let longest = "x".repeat(16 * 1024);
        assert_eq!(read(longest.as_bytes()).as_deref(), Ok(longest.as_str()));
        for (content, fault) in [
            (b"".as_slice(), "is empty"),
            (b"\n", "is empty"),
            (b"s3cret\xff", "is not UTF-8; a secret is text, as `openssl rand -hex 32` writes it"),
            (b"\xef\xbb\xbfs3cret", "begins with a byte order mark; save it as UTF-8 without one"),
            (b"\xff\xfes\0", "begins with a byte order mark; save it as UTF-8 without one"),
            (b"\xfe\xff\0s", "begins with a byte order mark; save it as UTF-8 without one"),
            (format!("{longest}x").as_bytes(), "has more than 16384 bytes, too many for a secret; check the path"),
        ] {
            assert_eq!(read(content), Err(format!("the file {path:?} {fault}")));
        }
        for missing in [folder.join("missing"), folder.clone()] {
            let fault = Secret::from_either(None, Some(missing.clone())).unwrap_err();
            assert!(fault.starts_with(&format!("the file {missing:?} cannot be read: ")), "{fault}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_secret_is_given_once() {
        let text = || Some(Secret::Text("s3cret".into()));
        assert_eq!(Secret::from_either(text(), None).as_deref(), Ok("s3cret"));
        for (value, file) in [(text(), Some("/x".into())), (None, None), (Some(Secret::Other(IgnoredAny)), None)] {
            assert!(!Secret::from_either(value, file).unwrap_err().contains("s3cret"));
        }
    }

    #[test]
    fn what_may_be_secret_is_not_shown() {
        assert_eq!(format!("{:?}", Secret::Text("s3cret".into())), "[redacted]");
        assert_eq!(format!("{:?}", Address("https://u:s3cret@h/p?s3cret".into())), r#""https://[redacted]@h/p""#);
    }
}

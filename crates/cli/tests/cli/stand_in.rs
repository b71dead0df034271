//! An authorization server that answers what a test has written down.

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::Duration,
};

use serde_json::{Value, json};

/// A response.
#[derive(Clone)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
    delay: Duration,
}

impl Answer {
    pub(crate) fn json(body: &Value) -> Self {
        Self::of("application/json", body.to_string())
    }

    pub(crate) fn of(media_type: &str, body: impl Into<String>) -> Self {
        Self::status(200, body).header("content-type", media_type)
    }

    pub(crate) fn status(status: u16, body: impl Into<String>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), delay: Duration::ZERO }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }
}

/// The server. Its threads end with the test's process.
pub(crate) struct StandIn {
    pub(crate) issuer: String,
}

impl StandIn {
    /// A server with these answers by path, which are made of its origin. Every other path is a 404.
    pub(crate) fn start(path: &str, answers: impl FnOnce(&str) -> Vec<(&'static str, Answer)>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let answers: HashMap<&str, Answer> = answers(&origin).into_iter().collect();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // The client may be gone.
                _ = answer(stream, &answers);
            }
        });
        Self { issuer: format!("{origin}{path}") }
    }

    /// A server at whose OpenID address is this document, with the issuer and the keys that are missing in it, and at
    /// `/jwks` this answer.
    pub(crate) fn with(document: Value, keys: Answer) -> Self {
        Self::with_more(document, keys, |_| Vec::new())
    }

    /// The same with more answers.
    pub(crate) fn with_more(
        document: Value,
        keys: Answer,
        more: impl FnOnce(&str) -> Vec<(&'static str, Answer)>,
    ) -> Self {
        Self::start("", |origin| {
            let mut members = json!({ "issuer": origin, "jwks_uri": format!("{origin}/jwks") });
            for (name, value) in document.as_object().unwrap() {
                let value = value.as_str().map_or(value.clone(), |text| text.replace("ORIGIN", origin).into());
                members[name] = value;
            }
            let mut answers = more(origin);
            answers.push(("/.well-known/openid-configuration", Answer::json(&members)));
            answers.push(("/jwks", keys));
            answers
        })
    }
}

fn answer(stream: TcpStream, answers: &HashMap<&str, Answer>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let (mut path, mut length) = (String::new(), 0);
    for line in 0.. {
        let mut text = String::new();
        reader.read_line(&mut text)?;
        if line == 0 {
            path = text.split(' ').nth(1).unwrap_or_default().to_owned();
        }
        if let Some(value) = text.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if text.trim().is_empty() {
            break;
        }
    }
    reader.read_exact(&mut vec![0; length])?;
    let missing = Answer::status(404, "");
    let answer = answers.get(&*path).unwrap_or(&missing);
    if !answer.delay.is_zero() {
        // Nothing is ever sent, so that this only waits.
        _ = mpsc::channel::<()>().1.recv_timeout(answer.delay);
    }
    let mut stream = reader.into_inner();
    write!(stream, "HTTP/1.1 {} X\r\nConnection: close\r\nContent-Length: {}\r\n", answer.status, answer.body.len())?;
    for (name, value) in &answer.headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    write!(stream, "\r\n{}", answer.body)
}

/// The public keys of RFC 7517, appendix A.1, and of RFC 8037, appendix A.2.
pub(crate) fn p256(id: &str) -> Value {
    json!({
        "kty": "EC", "crv": "P-256", "kid": id, "alg": "ES256",
        "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
    })
}

pub(crate) fn ed25519(id: &str) -> Value {
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    json!({ "kty": "OKP", "crv": "Ed25519", "kid": id, "alg": "EdDSA", "x": x })
}

pub(crate) fn key_set(keys: &[Value]) -> Answer {
    Answer::of("application/jwk-set+json", json!({ "keys": keys }).to_string()).header("cache-control", "max-age=600")
}

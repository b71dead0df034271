//! What was presented, for the words about it: it decides nothing.

use serde_json::{Map, Value};

use crate::{
    jose,
    redact::excerpt,
    refusal::Reason,
    request::{Credentials, RequestHead, Transports},
};

/// The form of a token, by which its steps differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Jwt,
    /// It was meant to be a JWT, or there is no token that could be read.
    Unread,
    Opaque,
}

/// The request and its token, as far as there is one.
pub(super) struct Presented<'r> {
    pub(super) request: RequestHead<'r>,
    /// Empty where no credentials could be read.
    pub(super) token: &'r str,
    /// The header of a JWS or JWE; empty where there is none that can be read.
    pub(super) header: Map<String, Value>,
}

impl<'r> Presented<'r> {
    pub(super) fn of(request: RequestHead<'r>, transports: Transports<'_>) -> Self {
        let credentials = Credentials::from_request_with(request, transports).ok().flatten();
        let token = credentials.map_or("", |credentials| credentials.token());
        let header = token.split_once('.').and_then(|(header, _)| jose::peek(header)).unwrap_or_default();
        Self { request, token, header }
    }

    pub(super) fn form(&self, is_decoded: bool) -> Form {
        match self.token {
            _ if is_decoded => Form::Jwt,
            token if token.is_empty() || !self.header.is_empty() || jose::is_jwt_shaped(token) => Form::Unread,
            _ => Form::Opaque,
        }
    }

    /// Whether the request has a DPoP proof, or what should be one.
    pub(super) fn has_proof(&self) -> bool {
        self.request.headers().contains_key("dpop")
    }

    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.header.get(name)?.as_str()
    }

    /// What was found in place of a token that can be read, where the refusal does not say.
    pub(super) fn describe(&self, reason: Reason) -> Option<String> {
        let parameter = |name| Some(format!("{name}: {}", excerpt(self.parameter(name)?)));
        match reason {
            Reason::EncryptedToken => {
                let header: Vec<String> = ["alg", "enc", "cty"].into_iter().filter_map(parameter).collect();
                let header = if header.is_empty() { String::new() } else { format!(" ({})", header.join(", ")) };
                Some(format!("an encrypted token, a JWE of five parts{header}"))
            }
            Reason::MalformedToken => Some(self.malformed()),
            _ => None,
        }
    }

    fn malformed(&self) -> String {
        let parts: Vec<&str> = self.token.split('.').collect();
        if parts.len() != 3 {
            return format!("{} part(s) between dots, where a JWT has three", parts.len());
        }
        if let Some(empty) = parts.iter().position(|part| part.is_empty()) {
            return match (empty, self.parameter("alg")) {
                (2, Some(algorithm)) => format!("no signature (alg: {})", excerpt(algorithm)),
                (2, None) => "no signature".to_owned(),
                (0, _) => "no header".to_owned(),
                _ => "no claims".to_owned(),
            };
        }
        let part = |at: usize, name: &str| match parts[at] {
            text if jose::peek(text).is_some() => None,
            text if text.contains(['+', '/']) => Some(format!("{name} in base64 with + and /, and not in base64url")),
            _ => Some(format!("{name} that cannot be decoded to a JSON object")),
        };
        part(0, "a header").or_else(|| part(1, "claims")).unwrap_or_else(|| {
            "a member that is repeated or of the wrong type, or a signature that is no base64url".to_owned()
        })
    }
}

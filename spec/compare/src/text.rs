//! JSON and base64url as text, so that a token may have what no JSON library would write.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// The members of a JSON object in their order, which may be there twice. A value is JSON as it will be sent.
pub type Members = Vec<(String, String)>;

/// Bytes in base64url without padding.
pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A JSON string.
pub fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a string is JSON")
}

/// A JSON array of strings.
pub fn array<T: AsRef<str>>(elements: &[T]) -> String {
    format!("[{}]", elements.iter().map(|element| quoted(element.as_ref())).collect::<Vec<_>>().join(","))
}

/// A JSON object.
pub fn object(members: &[(String, String)]) -> String {
    let mut text = String::with_capacity(512);
    for (name, value) in members {
        text.push(if text.is_empty() { '{' } else { ',' });
        text.push_str(&quoted(name));
        text.push(':');
        text.push_str(value);
    }
    text.push_str(if text.is_empty() { "{}" } else { "}" });
    text
}

/// Gives a member this value, wherever it is.
pub fn set(members: &mut Members, name: &str, value: impl Into<String>) {
    match members.iter_mut().find(|(known, _)| known == name) {
        Some((_, known)) => *known = value.into(),
        None => members.push((name.to_owned(), value.into())),
    }
}

/// The text that a part of a token encodes, if it is one.
pub fn decoded(part: &str) -> Option<String> {
    let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    text.starts_with('{').then_some(text)
}

//! What a refusal looks like, and how it joins the other responses of an operation.

use scopegate_core::ErrorKind;
use serde_json::{Map, Value, json};

const PROBLEM: &str = "application/problem+json";

/// The component of a class of refusals: its key and its response. `is_rendered` where the application writes the bodies, of
/// which nothing is known then.
pub(super) fn component(kind: ErrorKind, is_rendered: bool) -> (String, Value) {
    let (name, description) = match kind {
        ErrorKind::InvalidRequest => ("InvalidRequest", "The credentials are malformed, or there are several."),
        ErrorKind::InsufficientScope => ("InsufficientScope", "The access token does not permit this request."),
        ErrorKind::Unavailable => ("Unavailable", "The access token cannot be verified at the moment."),
        ErrorKind::Misconfigured => ("Misconfigured", "The service is misconfigured."),
        _ => ("InvalidToken", "There is no access token, or it is not valid."),
    };
    let mut headers = Map::new();
    if kind.is_challenged() {
        headers.insert("WWW-Authenticate".to_owned(), header("The challenge (RFC 6750 section 3).", "string"));
    }
    if kind == ErrorKind::Unavailable {
        headers.insert("Retry-After".to_owned(), header("Seconds after which to try again.", "integer"));
    }
    let mut response = json!({ "description": description });
    if !headers.is_empty() {
        response["headers"] = headers.into();
    }
    if !is_rendered {
        response["content"] = json!({ PROBLEM: { "schema": problem(kind) } });
    }
    (if is_rendered { format!("{name}Rendered") } else { name.to_owned() }, response)
}

fn header(description: &str, of_type: &str) -> Value {
    json!({ "description": description, "style": "simple", "schema": { "type": of_type } })
}

/// A problem document (RFC 9457).
fn problem(kind: ErrorKind) -> Value {
    json!({
        "type": "object",
        "required": ["type", "title", "status"],
        "properties": {
            "type": { "type": "string", "format": "uri-reference" },
            "title": { "type": "string" },
            "status": { "type": "integer", "enum": [kind.status().as_u16()] },
        },
    })
}

/// The responses of an operation that cover a status already: by its code, its range or the default.
pub(super) fn existing(responses: &Value, status: u16) -> Option<&Value> {
    [status.to_string(), format!("{}XX", status / 100), "default".to_owned()]
        .iter()
        .find_map(|key| responses.get(key.as_str()))
}

/// How many references lead to a response, each to the next.
const MAX_REFERENCES: usize = 8;

/// The response that a reference of an operation is about; `None` where it is not a component of the document.
pub(super) fn resolved<'d>(mut response: &'d Value, components: &'d Value) -> Option<&'d Value> {
    for _ in 0..=MAX_REFERENCES {
        let Some(reference) = response.get("$ref") else { return Some(response) };
        response = components.get(reference.as_str()?.strip_prefix("#/components/responses/")?)?;
    }
    None
}

/// A response of the application that can be a refusal, too.
pub(super) fn merged(response: &Value, refusal: &Value) -> Value {
    let mut merged = response.clone();
    for (name, header) in refusal["headers"].as_object().into_iter().flatten() {
        let headers = object(&mut merged, "headers");
        if !headers.keys().any(|other| other.eq_ignore_ascii_case(name)) {
            headers.insert(name.clone(), header.clone());
        }
    }
    if let Some(problem) = refusal["content"].get(PROBLEM) {
        let content = object(&mut merged, "content");
        match content.get_mut(PROBLEM).map(|content| content.get_mut("schema")) {
            None => {
                content.insert(PROBLEM.to_owned(), problem.clone());
            }
            Some(Some(schema)) if *schema != problem["schema"] && !is_among(&problem["schema"], &schema["anyOf"]) => {
                *schema = json!({ "anyOf": [schema, problem["schema"]] });
            }
            // It is this schema, or there is none, which permits everything.
            Some(_) => {}
        }
    }
    merged
}

fn is_among(schema: &Value, schemas: &Value) -> bool {
    schemas.as_array().is_some_and(|schemas| schemas.contains(schema))
}

/// The member of an object that is an object, added where there is none.
fn object<'v>(value: &'v mut Value, member: &str) -> &'v mut Map<String, Value> {
    let slot = &mut value[member];
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    slot.as_object_mut().unwrap_or_else(|| unreachable!("it was made an object"))
}

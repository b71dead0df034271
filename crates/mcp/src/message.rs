//! JSON-RPC 2.0 messages of an MCP client, and what each asks for.

use std::fmt;

use crate::json::{Json, Unreadable};

/// Why a body holds no messages of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    EmptyBatch,
    Json(Unreadable),
    Member,
    Message,
    Parameters,
    RequestId,
}

impl Malformed {
    /// What the client reads, as a problem document.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::EmptyBatch => "the batch is empty",
            Self::Json(Unreadable::DuplicateMember) => "the body repeats a member name",
            Self::Json(Unreadable::NotJson) => "the body is not one JSON text in UTF-8",
            Self::Json(Unreadable::ReservedMember) => "the body has a member name that is reserved by a JSON library",
            Self::Json(Unreadable::TooDeep) => "the body is nested too deeply",
            Self::Member => "the message has a member that JSON-RPC 2.0 does not know",
            Self::Message => "the body is not a JSON-RPC 2.0 request, notification or response",
            Self::Parameters => "the message lacks a parameter that its method needs, or has one of another type",
            Self::RequestId => "the id of the message is neither a string nor a whole number",
        }
    }
}

impl From<Unreadable> for Malformed {
    fn from(error: Unreadable) -> Self {
        Self::Json(error)
    }
}

/// The id of a JSON-RPC request: a string or a whole number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "JSON-RPC 2.0 has no other, but for `null`, which MCP excludes")]
pub enum RequestId {
    /// A whole number.
    Number(i64),
    /// A string.
    String(Box<str>),
}

impl RequestId {
    fn of(id: &Json<'_>) -> Result<Self, Malformed> {
        match id {
            Json::String(text) => Ok(Self::String(text.as_ref().into())),
            // Written in the one way that no reader takes for a fraction: `1.0` and `1e0` are a number of their own to some.
            Json::Number(text) => match text.parse::<i64>() {
                Ok(number) if number.to_string() == *text => Ok(Self::Number(number)),
                _ => Err(Malformed::RequestId),
            },
            _ => Err(Malformed::RequestId),
        }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::String(text) => fmt::Debug::fmt(text, f),
        }
    }
}

/// One message of a client.
#[derive(Debug)]
pub(crate) struct Message<'m> {
    /// `None` for a response.
    pub(crate) method: Option<&'m str>,
    /// `None` for a notification, and for an error without one.
    pub(crate) id: Option<RequestId>,
    pub(crate) asks_for: Target<'m>,
}

/// What a message asks for.
#[derive(Debug, PartialEq)]
pub(crate) enum Target<'m> {
    /// What every caller with a valid token may do: the life cycle of the protocol, and responses to the server.
    Protocol,
    /// A list, which is filtered on its way back.
    List,
    Tool {
        name: &'m str,
        arguments: Option<&'m Json<'m>>,
    },
    Prompt {
        name: &'m str,
        arguments: Option<&'m Json<'m>>,
    },
    Resources(Vec<&'m str>),
    /// A method that MCP does not define, or that this crate does not know.
    Unknown,
}

/// Methods that every caller with a valid token may call.
const PROTOCOL: [&str; 4] = ["initialize", "logging/setLevel", "ping", "server/discover"];

const LISTS: [&str; 4] = ["prompts/list", "resources/list", "resources/templates/list", "tools/list"];

/// Methods that are decided by what they name.
const NAMING: [&str; 7] = [
    "completion/complete",
    "prompts/get",
    "resources/read",
    "resources/subscribe",
    "resources/unsubscribe",
    "subscriptions/listen",
    "tools/call",
];

/// Whether this crate says itself what the method requires.
pub(crate) fn is_known_method(method: &str) -> bool {
    [&PROTOCOL[..], &LISTS, &NAMING].iter().any(|known| known.contains(&method))
        || method.starts_with(NOTIFICATION_PREFIX)
}

const NOTIFICATION_PREFIX: &str = "notifications/";

/// The messages of a body: one, or those of a batch.
pub(crate) fn messages<'m>(body: &'m Json<'m>) -> Result<Vec<Message<'m>>, Malformed> {
    match body {
        Json::Array(batch) if batch.is_empty() => Err(Malformed::EmptyBatch),
        Json::Array(batch) => batch.iter().map(Message::read).collect(),
        message => Ok(vec![Message::read(message)?]),
    }
}

impl<'m> Message<'m> {
    fn read(message: &'m Json<'m>) -> Result<Self, Malformed> {
        if !message.is_object() || message.get("jsonrpc").and_then(Json::as_str) != Some("2.0") {
            return Err(Malformed::Message);
        }
        // Another reader may compare names without regard to case, or may give a meaning to a member of its own.
        let is_known = |name: &str| matches!(name, "jsonrpc" | "id" | "method" | "params" | "result" | "error");
        if !message.members().iter().all(|(name, _)| is_known(name)) {
            return Err(Malformed::Member);
        }
        let [id, params] = ["id", "params"].map(|name| message.get(name));
        match (message.get("method"), message.get("result"), message.get("error")) {
            (Some(method), None, None) => {
                let method = method.as_str().ok_or(Malformed::Message)?;
                if params.is_some_and(|params| !params.is_object()) {
                    return Err(Malformed::Parameters);
                }
                let (id, asks_for) = match id {
                    Some(id) => (Some(RequestId::of(id)?), Target::of_request(method, params)?),
                    None => (None, Target::of_notification(method)),
                };
                Ok(Self { method: Some(method), id, asks_for })
            }
            (None, Some(_), None) | (None, None, Some(_)) if params.is_none() => {
                let id = match id {
                    // The error of a request whose id could not be read.
                    None | Some(Json::Null) if message.get("error").is_some() => None,
                    Some(id) => Some(RequestId::of(id)?),
                    None => return Err(Malformed::Message),
                };
                Ok(Self { method: None, id, asks_for: Target::Protocol })
            }
            _ => Err(Malformed::Message),
        }
    }
}

impl<'m> Target<'m> {
    fn of_notification(method: &str) -> Self {
        if method.starts_with(NOTIFICATION_PREFIX) { Self::Protocol } else { Self::Unknown }
    }

    fn of_request(method: &str, params: Option<&'m Json<'m>>) -> Result<Self, Malformed> {
        let params = params.unwrap_or(&Json::Null);
        Ok(match method {
            method if PROTOCOL.contains(&method) => Self::Protocol,
            method if LISTS.contains(&method) => Self::List,
            "tools/call" => Self::Tool { name: text(params, "name")?, arguments: object(params, "arguments")? },
            "prompts/get" => Self::Prompt { name: text(params, "name")?, arguments: object(params, "arguments")? },
            "resources/read" | "resources/subscribe" | "resources/unsubscribe" => {
                Self::Resources(vec![text(params, "uri")?])
            }
            "completion/complete" => Self::of_completion(params)?,
            "subscriptions/listen" => Self::of_subscription(params)?,
            _ => Self::Unknown,
        })
    }

    /// The prompt or the resource whose arguments are to be completed.
    fn of_completion(params: &'m Json<'m>) -> Result<Self, Malformed> {
        let reference = object(params, "ref")?.ok_or(Malformed::Parameters)?;
        match text(reference, "type")? {
            "ref/prompt" => Ok(Self::Prompt { name: text(reference, "name")?, arguments: None }),
            "ref/resource" => Ok(Self::Resources(vec![text(reference, "uri")?])),
            _ => Err(Malformed::Parameters),
        }
    }

    /// The resources about whose changes the client asks to be told. What else a subscription may hold is not known here, but
    /// for notifications that a list has changed, which say nothing about what is in it.
    fn of_subscription(params: &'m Json<'m>) -> Result<Self, Malformed> {
        let notifications = object(params, "notifications")?.ok_or(Malformed::Parameters)?;
        let mut resources = Vec::new();
        for (name, value) in notifications.members() {
            match (&**name, value) {
                ("toolsListChanged" | "promptsListChanged" | "resourcesListChanged", Json::Bool(_)) => {}
                ("resourceSubscriptions", Json::Array(uris)) => {
                    for uri in uris {
                        resources.push(uri.as_str().ok_or(Malformed::Parameters)?);
                    }
                }
                _ => return Err(Malformed::Parameters),
            }
        }
        Ok(Self::Resources(resources))
    }

    /// The names of what is asked for.
    pub(crate) fn names(&self) -> &[&'m str] {
        match self {
            Self::Tool { name, .. } | Self::Prompt { name, .. } => std::slice::from_ref(name),
            Self::Resources(uris) => uris,
            Self::Protocol | Self::List | Self::Unknown => &[],
        }
    }
}

/// The member of this name. One that differs from it in case alone is an error: some parsers would take it for the other.
fn member<'m>(params: &'m Json<'m>, name: &str) -> Result<Option<&'m Json<'m>>, Malformed> {
    let folded = name.to_uppercase();
    let is_confusable = |other: &str| other != name && other.to_uppercase() == folded;
    if params.members().iter().any(|(other, _)| is_confusable(other)) {
        return Err(Malformed::Parameters);
    }
    Ok(params.get(name))
}

fn text<'m>(params: &'m Json<'m>, name: &str) -> Result<&'m str, Malformed> {
    member(params, name)?.and_then(Json::as_str).ok_or(Malformed::Parameters)
}

/// An object; `None` where it is absent or `null`.
fn object<'m>(params: &'m Json<'m>, name: &str) -> Result<Option<&'m Json<'m>>, Malformed> {
    match member(params, name)? {
        None | Some(Json::Null) => Ok(None),
        Some(value) if value.is_object() => Ok(Some(value)),
        Some(_) => Err(Malformed::Parameters),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::read;

    fn check(body: &str, expected: impl FnOnce(Result<Vec<Message<'_>>, Malformed>)) {
        let body = read(body.as_bytes(), 64).unwrap();
        expected(messages(&body));
    }

    fn refused(body: &str) -> Malformed {
        let mut error = None;
        check(body, |read| error = read.err());
        error.unwrap_or_else(|| panic!("{body} was read"))
    }

    fn request(method: &str, params: &str) -> String {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#)
    }

    #[test]
    fn each_method_asks_for_what_it_names() {
        let tool = Target::Tool { name: "t", arguments: None };
        for (method, params, expected) in [
            ("initialize", "{}", Target::Protocol),
            ("ping", "{}", Target::Protocol),
            ("server/discover", "{}", Target::Protocol),
            ("logging/setLevel", r#"{"level":"info"}"#, Target::Protocol),
            ("tools/list", "{}", Target::List),
            ("resources/templates/list", r#"{"cursor":"x"}"#, Target::List),
            ("tools/call", r#"{"name":"t"}"#, tool),
            ("prompts/get", r#"{"name":"p","arguments":null}"#, Target::Prompt { name: "p", arguments: None }),
            ("resources/read", r#"{"uri":"file:///a"}"#, Target::Resources(vec!["file:///a"])),
            ("resources/unsubscribe", r#"{"uri":"u"}"#, Target::Resources(vec!["u"])),
            (
                "completion/complete",
                r#"{"ref":{"type":"ref/prompt","name":"p"},"argument":{"name":"a","value":""}}"#,
                Target::Prompt { name: "p", arguments: None },
            ),
            ("completion/complete", r#"{"ref":{"type":"ref/resource","uri":"u"}}"#, Target::Resources(vec!["u"])),
            (
                "subscriptions/listen",
                r#"{"notifications":{"toolsListChanged":true,"resourceSubscriptions":["a","b"]}}"#,
                Target::Resources(vec!["a", "b"]),
            ),
            ("tools/Call", r#"{"name":"t"}"#, Target::Unknown),
            ("tasks/get", "{}", Target::Unknown),
            ("notifications/initialized", "{}", Target::Unknown),
        ] {
            check(&request(method, params), |read| {
                let read = read.unwrap();
                assert_eq!((read.len(), read[0].method, &read[0].id), (1, Some(method), &Some(RequestId::Number(1))));
                assert_eq!(read[0].asks_for, expected, "{method}");
            });
        }
    }

    #[test]
    fn the_known_methods_are_those_that_are_read() {
        for method in [&PROTOCOL[..], &LISTS, &NAMING].concat() {
            let is_unknown = matches!(Target::of_request(method, None), Ok(Target::Unknown));
            assert!(is_known_method(method) && !is_unknown, "{method}");
        }
        assert!(is_known_method("notifications/x") && !is_known_method("tasks/get"));
    }

    #[test]
    fn a_notification_of_a_request_method_is_unknown() {
        for (method, expected) in [
            ("notifications/initialized", Target::Protocol),
            ("notifications/cancelled", Target::Protocol),
            ("tools/call", Target::Unknown),
            ("ping", Target::Unknown),
        ] {
            check(&format!(r#"{{"jsonrpc":"2.0","method":"{method}"}}"#), |read| {
                let read = read.unwrap();
                assert_eq!((&read[0].id, &read[0].asks_for), (&None, &expected), "{method}");
            });
        }
    }

    #[test]
    fn parameters_that_two_readers_could_take_differently_are_refused() {
        for (method, params) in [
            ("tools/call", "{}"),
            ("tools/call", r#"["t"]"#),
            ("tools/call", "null"),
            ("tools/call", r#"{"name":1}"#),
            ("tools/call", r#"{"name":["t"]}"#),
            ("tools/call", r#"{"name":"t","Name":"u"}"#),
            ("tools/call", r#"{"name":"t","argument\u017f":{}}"#),
            ("tools/call", r#"{"name":"t","arguments":[1]}"#),
            ("tools/call", r#"{"name":"t","arguments":"{}"}"#),
            ("resources/read", r#"{"uri":"a","URI":"b"}"#),
            ("completion/complete", r#"{"ref":["ref/prompt",{"name":"p"}]}"#),
            ("completion/complete", r#"{"ref":{"type":"ref/other","name":"p"}}"#),
            ("subscriptions/listen", r#"{"notifications":[true,true,true,["u"]]}"#),
            ("subscriptions/listen", r#"{"notifications":{"everything":true}}"#),
            ("subscriptions/listen", r#"{"notifications":{"resourceSubscriptions":"u"}}"#),
        ] {
            assert_eq!(refused(&request(method, params)), Malformed::Parameters, "{method} {params}");
        }
    }

    #[test]
    fn a_message_is_exactly_one_of_request_notification_and_response() {
        for (body, expected) in [
            ("1", Malformed::Message),
            ("[]", Malformed::EmptyBatch),
            ("[[]]", Malformed::Message),
            (r#"{"id":1,"method":"ping"}"#, Malformed::Message),
            (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, Malformed::Message),
            (r#"{"jsonrpc":2.0,"id":1,"method":"ping"}"#, Malformed::Message),
            (r#"{"jsonrpc":"2.0","id":1,"method":1}"#, Malformed::Message),
            (r#"{"jsonrpc":"2.0","id":1}"#, Malformed::Message),
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#, Malformed::Message),
            (r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#, Malformed::Message),
            (r#"{"jsonrpc":"2.0","id":1,"result":{},"params":{}}"#, Malformed::Message),
            (r#"{"jsonrpc":"2.0","result":{}}"#, Malformed::Message),
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call"}"#, Malformed::Member),
            (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, Malformed::RequestId),
            (r#"{"jsonrpc":"2.0","id":1.0,"method":"ping"}"#, Malformed::RequestId),
            (r#"{"jsonrpc":"2.0","id":1e0,"method":"ping"}"#, Malformed::RequestId),
            (r#"{"jsonrpc":"2.0","id":-0,"method":"ping"}"#, Malformed::RequestId),
            (r#"{"jsonrpc":"2.0","id":9223372036854775808,"method":"ping"}"#, Malformed::RequestId),
            (r#"{"jsonrpc":"2.0","id":[1],"method":"ping"}"#, Malformed::RequestId),
            (r#"{"jsonrpc":"2.0","id":null,"result":{}}"#, Malformed::RequestId),
            (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},1]"#, Malformed::Message),
        ] {
            assert_eq!(refused(body), expected, "{body}");
        }
        for body in [
            r#"{"jsonrpc":"2.0","id":"a","result":null}"#,
            r#"{"jsonrpc":"2.0","id":-1,"error":{"code":1,"message":"m"}}"#,
            r#"{"jsonrpc":"2.0","id":null,"error":{}}"#,
            r#"{"jsonrpc":"2.0","error":{}}"#,
        ] {
            check(body, |read| assert_eq!(read.unwrap()[0].asks_for, Target::Protocol, "{body}"));
        }
    }
}

//! One HTTP request and its response: the trip of a message.

use std::{borrow::Cow, sync::Arc};

use bytes::{Buf as _, Bytes};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response,
    header::{
        ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, RANGE, TRANSFER_ENCODING,
        UPGRADE,
    },
    request::Parts,
};
use http_body::Body;
use scopegate_core::{Authentication, Error, Reason, VerifiedToken, observe::log_excerpt};
use scopegate_tower::{
    Requirement, ResponseBody,
    refusal::{Refusal, ResponseForm},
};
use tower_service::Service;

use crate::{
    body::{BoxError, McpResponseBody, MessageBody},
    events::EventFilter,
    json,
    layer::Settings,
    lists::{Fault, ListFilter},
    message::{Malformed, Message, Target, messages},
    operations::Operations,
    problem::Problem,
    session::{Caller, SESSION_ID, session_id},
};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Fields about the bytes of a body, which are other ones when it has been written anew.
const ABOUT_BYTES: [HeaderName; 6] = [
    CONTENT_LENGTH,
    ETAG,
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("repr-digest"),
];

pub(crate) struct Exchange<B> {
    settings: Arc<Settings>,
    parts: Parts,
    body: B,
}

/// Why a request does not reach the inner service.
enum Stop {
    Problem(Problem),
    /// The refusal, and the scope that its challenge names.
    Refusal(Error, Option<String>),
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Malformed> for Stop {
    fn from(malformed: Malformed) -> Self {
        Self::Problem(Problem::Malformed(malformed))
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Refusal(error, None)
    }
}

/// What is forwarded, and what is to be done with the answer.
struct Admitted {
    body: MessageBody,
    filter: Option<ListFilter>,
    /// Whether it is an answer with a list, or a stream, and what is neither JSON nor a stream is a fault.
    expects_list: bool,
    caller: Caller,
}

impl<B: Body> Exchange<B> {
    pub(crate) fn new(settings: Arc<Settings>, request: Request<B>) -> Self {
        let (parts, body) = request.into_parts();
        Self { settings, parts, body }
    }

    pub(crate) async fn run<S, R>(self, mut inner: S) -> Result<Response<McpResponseBody<R>>, S::Error>
    where
        S: Service<Request<MessageBody>, Response = Response<R>>,
        R: Body<Data = Bytes, Error: Into<BoxError>>,
    {
        let Self { settings, mut parts, body } = self;
        let Admitted { body, filter, expects_list, caller } = match admit(&settings, &mut parts, body).await {
            Ok(admitted) => admitted,
            Err(Stop::Problem(problem)) => return Ok(problem.respond()),
            Err(Stop::Refusal(error, scope)) => return Ok(refuse(&parts, &error, scope.as_deref())),
        };
        let ended = parts.headers.get(SESSION_ID).filter(|_| parts.method == Method::DELETE).cloned();
        let mut response = inner.call(Request::from_parts(parts, body)).await?;

        if let Some(ended) = ended.filter(|_| response.status().is_success()) {
            settings.sessions.end(&ended);
        } else if response.status().is_success() && !bind(&settings, &response, caller) {
            tracing::error!(target: "scopegate", "the MCP server gave a session to a second caller, or several at once");
            return Ok(Problem::UnreadableResponse.respond());
        }
        let Some(filter) = filter else { return Ok(response.map(McpResponseBody::inner)) };
        response.headers_mut().remove(ETAG);
        Ok(match filtered(response, filter, expects_list).await {
            Ok(response) => response,
            Err(fault) => {
                tracing::error!(target: "scopegate", "{fault}; answered 500");
                Problem::UnreadableResponse.respond()
            }
        })
    }
}

/// Decides on a request, and makes of its parts those of the request that is forwarded.
async fn admit<B: Body>(settings: &Settings, parts: &mut Parts, body: B) -> Result<Admitted, Stop> {
    // Before anything is read: where `Authenticate` is missing, it is missing for every request.
    let authentication =
        parts.extensions.get::<Authentication>().ok_or_else(Error::missing_authenticate_layer)?.clone();
    let is_post = parts.method == Method::POST;
    if !is_post && parts.method != Method::GET && parts.method != Method::DELETE {
        return Err(Problem::Method.into());
    }
    let caller = authentication.token().map(|token| known_caller(settings, parts, token)).transpose()?;
    // An event id is no credential, and outside of a session it is not known whose stream it is of.
    if !is_post && parts.headers.contains_key(LAST_EVENT_ID) && !parts.headers.contains_key(SESSION_ID) {
        return Err(if caller.is_some() {
            Problem::ResumedOutsideOfSession.into()
        } else {
            Error::missing_credentials().into()
        });
    }
    let mut expects_list = parts.method == Method::GET;
    let mut forwarded = MessageBody::default();
    if is_post {
        check_type(&parts.headers)?;
        let text = collect(body, settings.max_message_size).await.map_err(|error| match error {
            Uncollected::TooLarge => Problem::TooLarge,
            Uncollected::Failed => Problem::Incomplete,
        })?;
        let json = json::read(&text, settings.max_depth).map_err(Malformed::Json)?;
        let messages = messages(&json)?;
        check(settings, parts, &messages)?;
        expects_list |= messages.iter().any(|message| message.asks_for == Target::List);
        parts.extensions.insert(Operations::of(&messages));
        // MCP-9: what was judged, and nothing else, is forwarded.
        forwarded = MessageBody::new(json.to_bytes());
    }
    // A caller without a token has been told by now which scope the operation needs. MCP-7: a session is no credential.
    let caller = caller.ok_or_else(Error::missing_credentials)?;

    let headers = &mut parts.headers;
    ABOUT_BYTES.iter().for_each(|name| drop(headers.remove(name)));
    // Behind an upgrade there would be messages that nobody reads.
    for name in [CONTENT_ENCODING, TRANSFER_ENCODING, RANGE, UPGRADE] {
        headers.remove(name);
    }
    // A token is for this server alone, and nothing behind it may pass it on (MCP, "Token Handling"; MCP-4).
    headers.remove(AUTHORIZATION);
    if let Some(name) = authentication.resource_server().token_header() {
        headers.remove(name);
    }
    if is_post {
        headers.remove(LAST_EVENT_ID);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(http_body::Body::size_hint(&forwarded).lower()));
    }
    // A server may know the stream of a response by the id of the request alone, which another request of the session may have.
    let may_list = expects_list || (is_post && headers.contains_key(SESSION_ID));
    let filter = may_list.then(|| {
        headers.remove(ACCEPT_ENCODING);
        ListFilter::new(Arc::clone(&settings.policy), settings.max_message_size, settings.max_depth, authentication)
    });
    Ok(Admitted { body: forwarded, filter, expects_list, caller })
}

/// The caller, if the session that the request names is the caller's.
fn known_caller(settings: &Settings, parts: &Parts, token: &VerifiedToken) -> Result<Caller, Problem> {
    let caller = settings.sessions.caller(token);
    match session_id(&parts.headers).map_err(|_| Problem::SeveralSessions)? {
        // Said of a session of another caller as well, so that nobody learns that there is one.
        Some(id) if !settings.sessions.belongs_to(id, caller) => Err(Problem::UnknownSession),
        _ => Ok(caller),
    }
}

/// Binds the session that a response names. Returns whether it can be the caller's.
fn bind<R>(settings: &Settings, response: &Response<R>, caller: Caller) -> bool {
    match session_id(response.headers()) {
        Ok(Some(id)) => settings.sessions.bind(id, caller),
        Ok(None) => true,
        Err(_) => false,
    }
}

/// The media type of JSON, once, in UTF-8 and not compressed.
fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let is_json = types.next().is_some_and(is_json) && types.next().is_none();
    let is_plain =
        headers.get_all(CONTENT_ENCODING).iter().all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if is_json && is_plain { Ok(()) } else { Err(Problem::UnsupportedType) }
}

fn is_json(value: &HeaderValue) -> bool {
    let Ok(value) = value.to_str() else { return false };
    let mut parts = value.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"));
    is_json
        && parts.all(|parameter| match parameter.split_once('=') {
            Some((name, charset)) if name.trim().eq_ignore_ascii_case("charset") => {
                charset.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
            }
            _ => true,
        })
}

/// Checks what all messages require, together: a batch is forwarded as a whole or not at all.
fn check(settings: &Settings, parts: &Parts, messages: &[Message<'_>]) -> Result<(), Stop> {
    let mut required = Vec::new();
    let mut is_denied = false;
    for message in messages {
        match settings.policy.requirements(message.method, &message.asks_for)? {
            Some(requirements) => required.extend(requirements),
            None => {
                is_denied = true;
                let names: Vec<_> = message.asks_for.names().iter().map(|name| log_excerpt(name)).collect();
                tracing::debug!(
                    target: "scopegate",
                    method = message.method.map(log_excerpt),
                    names = names.join(", "),
                    "a message asks for what is not declared: declare it on `RequireMcpScopes`"
                );
            }
        }
    }
    if let Err(error) = Requirement::any_token().check(&parts.extensions) {
        // MCP-2, MCP-3: with the metadata URL and the scope of this operation.
        return Err(Stop::Refusal(error, names(&required)));
    }
    if is_denied {
        return Err(Error::from(Reason::PolicyNotMet).into());
    }
    match required.iter().find_map(|requirement| requirement.check(&parts.extensions).err()) {
        // MCP-6: all scopes of all messages at once.
        Some(error) => Err(Stop::Refusal(error, names(&required))),
        None => Ok(()),
    }
}

/// All scopes of the requirements, each once: the client can get them in one round (MCP, "Scope Challenge Handling").
fn names(requirements: &[Cow<'_, Requirement>]) -> Option<String> {
    let mut scopes: Vec<&str> = Vec::new();
    for scope in requirements.iter().filter_map(|requirement| requirement.challenge()).flat_map(|all| all.split(' ')) {
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    Some(scopes.join(" ")).filter(|scopes| !scopes.is_empty())
}

fn refuse<R>(parts: &Parts, error: &Error, scope: Option<&str>) -> Response<McpResponseBody<R>> {
    let authentication = parts.extensions.get::<Authentication>();
    let form = ResponseForm::of(parts, authentication.and_then(Authentication::protection_space));
    let refusal = Refusal::new(error).after(authentication).to(parts).requiring(scope);
    let response: Response<ResponseBody<R>> = refusal.respond(form);
    response.map(McpResponseBody::refusal)
}

enum Uncollected {
    TooLarge,
    Failed,
}

/// The whole body. Trailers are dropped.
async fn collect<B: Body>(body: B, max: usize) -> Result<Vec<u8>, Uncollected> {
    if body.size_hint().lower() > max as u64 {
        return Err(Uncollected::TooLarge);
    }
    let mut body = std::pin::pin!(body);
    let mut collected = Vec::new();
    while let Some(frame) = std::future::poll_fn(|context| body.as_mut().poll_frame(context)).await {
        let Ok(mut data) = frame.map_err(|_| Uncollected::Failed)?.into_data() else { continue };
        if data.remaining() > max - collected.len() {
            return Err(Uncollected::TooLarge);
        }
        while data.has_remaining() {
            let chunk = data.chunk();
            let len = chunk.len();
            collected.extend_from_slice(chunk);
            data.advance(len);
        }
    }
    Ok(collected)
}

/// The response without what the caller may not use.
async fn filtered<R>(
    response: Response<R>,
    filter: ListFilter,
    expects_list: bool,
) -> Result<Response<McpResponseBody<R>>, Fault>
where
    R: Body<Data = Bytes, Error: Into<BoxError>>,
{
    let essence = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(|essence| essence.trim().to_ascii_lowercase());
    let is_json = essence.as_deref() == Some("application/json");
    let is_events = essence.as_deref() == Some("text/event-stream");
    if !is_json && !is_events {
        // An error of HTTP, or nothing at all.
        let is_list = expects_list && response.status().is_success() && !response.body().is_end_stream();
        return if is_list { Err(Fault::UnknownType) } else { Ok(response.map(McpResponseBody::inner)) };
    }
    if response.headers().contains_key(CONTENT_ENCODING) || response.headers().get_all(CONTENT_TYPE).iter().count() > 1
    {
        return Err(Fault::Encoded);
    }
    let (mut parts, body) = response.into_parts();
    ABOUT_BYTES.iter().for_each(|name| drop(parts.headers.remove(name)));
    if is_events {
        return Ok(Response::from_parts(parts, McpResponseBody::events(body, EventFilter::new(filter))));
    }
    let text = collect(body, filter.max_size()).await.map_err(|error| match error {
        Uncollected::TooLarge => Fault::TooLarge,
        Uncollected::Failed => Fault::Incomplete,
    })?;
    let mut written = Vec::new();
    filter.rewrite(&text, &mut written)?;
    parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(written.len()));
    Ok(Response::from_parts(parts, McpResponseBody::whole(written)))
}

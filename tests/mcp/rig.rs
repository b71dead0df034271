//! The server of the tests, and requests to it.

use std::{
    borrow::Cow,
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use axum::{Router, body::Body};
use bytes::Bytes;
use http::Method;
use http_body::Frame;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, CompleteRequestParams, CompleteResult, ContentBlock,
        CustomNotification, CustomRequest, CustomResult, GetPromptRequestParams, GetPromptResponse, GetPromptResult,
        ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
        Prompt, ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, Resource, ResourceTemplate,
        ServerCapabilities, ServerConfig, SubscribeRequestParams, Tool,
    },
    service::{NotificationContext, RequestContext},
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
    },
};
use scopegate_axum::{Authenticate, ProtectedRouter, authenticated, scope};
use scopegate_mcp::RequireMcpScopes;
use scopegate_tests::{Answer, Ask, issuer, mint, resource_server};
use serde_json::{Value, json};
use tower::Layer as _;

/// The metadata document that every challenge names.
pub(crate) const METADATA: &str = "https://api.example/.well-known/oauth-protected-resource/mcp";

pub(crate) const TOOLS: [&str; 6] = ["echo", "files/read", "files/write", "both", "transfer", "undeclared"];

/// What ran on the server: `tool files/read {"path":"/"}`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ran(Arc<Mutex<Vec<String>>>);

impl Ran {
    fn note(&self, what: String) {
        self.0.lock().expect("no panic").push(what);
    }

    /// What ran since this was called last.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("no panic"))
    }
}

#[derive(Clone)]
pub(crate) struct Server {
    ran: Ran,
}

impl Server {
    pub(crate) fn new(ran: &Ran) -> Self {
        Self { ran: ran.clone() }
    }
}

fn object(value: Value) -> serde_json::Map<String, Value> {
    value.as_object().cloned().expect("an object")
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(
            ServerCapabilities::builder()
                .enable_tools()
                .enable_prompts()
                .enable_resources()
                .enable_resources_subscribe()
                .enable_completions()
                .build(),
        )
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = request.arguments.map_or(Value::Null, Value::Object);
        self.ran.note(format!("tool {} {arguments}", request.name));
        Ok(CallToolResult::success(vec![ContentBlock::text("done")]).into())
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        // Two pages.
        let (first, second) = TOOLS.split_at(3);
        let is_first = request.and_then(|request| request.cursor).is_none();
        let tools = if is_first { first } else { second };
        let schema =
            object(json!({"type": "object", "properties": {"amount": {"type": "number", "maximum": 1.5e300}}}));
        let mut result = ListToolsResult::with_all_items(
            tools.iter().map(|name| Tool::new(*name, "a tool", schema.clone())).collect(),
        );
        result.next_cursor = is_first.then(|| "second".to_owned());
        Ok(result)
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let prompt = |name: &str| Prompt::new(name, Some("a prompt"), None);
        Ok(ListPromptsResult::with_all_items(vec![prompt("greeting"), prompt("summary"), prompt("undeclared")]))
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let resource = |uri: &str| Resource::new(uri, uri);
        Ok(ListResourcesResult::with_all_items(vec![
            resource("file:///public/a"),
            resource("file:///private/a"),
            resource("note://undeclared"),
        ]))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let template = |uri: &str| ResourceTemplate::new(uri, uri);
        Ok(ListResourceTemplatesResult::with_all_items(vec![
            template("file:///public/{name}"),
            template("file:///private/{name}"),
            template("note://{name}"),
        ]))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        self.ran.note(format!("prompt {}", request.name));
        Ok(GetPromptResult::new(Vec::new()).into())
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        self.ran.note(format!("resource {}", request.uri));
        Ok(ReadResourceResult::new(Vec::new()).into())
    }

    async fn subscribe(&self, request: SubscribeRequestParams, _: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        self.ran.note(format!("subscription {}", request.uri));
        Ok(())
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        self.ran.note(format!("completion {}", json!(request.r#ref)));
        Ok(CompleteResult::default())
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        self.ran.note(format!("custom {}", request.method));
        Ok(CustomResult::new(json!({})))
    }

    async fn on_custom_notification(&self, notification: CustomNotification, _: NotificationContext<RoleServer>) {
        self.ran.note(format!("notification {}", notification.method));
    }

    fn get_tool(&self, _: &str) -> Option<Tool> {
        None
    }
}

/// What the tests declare.
pub(crate) fn scopes() -> RequireMcpScopes {
    RequireMcpScopes::new()
        .tool("echo", authenticated())
        .tool("files/*", scope("files"))
        .tool("files/read", scope("files:read"))
        .tool("both", scope("a") & scope("b"))
        .tool_with("transfer", scope("pay"), |call| {
            let amount = call.arguments().get("amount").and_then(Value::as_f64);
            if amount.is_some_and(|amount| amount <= 100.0) { authenticated() } else { scope("pay:large").into() }
        })
        .prompt("greeting", authenticated())
        .prompt("summary", scope("files:read"))
        .resource("file:///public/*", authenticated())
        .resource("file:///*", scope("files:read"))
        .method("custom/any", authenticated())
        .method("custom/scoped", scope("custom"))
}

/// An MCP server at `/mcp`.
pub(crate) struct Mcp {
    pub(crate) router: Router,
    pub(crate) ran: Ran,
}

impl Mcp {
    /// Without sessions, and with JSON for what needs no stream.
    pub(crate) async fn stateless(scopes: RequireMcpScopes) -> Self {
        let config = StreamableHttpServerConfig::default().with_legacy_session_mode(false).with_json_response(true);
        Self::new(scopes, config).await
    }

    /// Without sessions, and with an event stream for every response.
    pub(crate) async fn streaming(scopes: RequireMcpScopes) -> Self {
        let config = StreamableHttpServerConfig::default().with_legacy_session_mode(false);
        Self::new(scopes, config).await
    }

    /// With sessions.
    pub(crate) async fn stateful(scopes: RequireMcpScopes) -> Self {
        Self::new(scopes, StreamableHttpServerConfig::default()).await
    }

    pub(crate) async fn new(scopes: RequireMcpScopes, config: StreamableHttpServerConfig) -> Self {
        let resource_server = resource_server().issuer(issuer()).build().await.expect("good settings");
        Self::behind(scopes, config, Authenticate::new(resource_server).resource_metadata(METADATA))
    }

    pub(crate) fn behind(
        scopes: RequireMcpScopes,
        config: StreamableHttpServerConfig,
        authenticate: Authenticate,
    ) -> Self {
        let ran = Ran::default();
        let server = Server::new(&ran);
        Self { ran, ..Self::serving(scopes, config, authenticate, server) }
    }

    /// With another server than that of the tests.
    pub(crate) fn serving<S: ServerHandler + Clone>(
        scopes: RequireMcpScopes,
        config: StreamableHttpServerConfig,
        authenticate: Authenticate,
        server: S,
    ) -> Self {
        let service = StreamableHttpService::new(
            move || Ok(server.clone()),
            Arc::new(LocalSessionManager::default()),
            config.disable_allowed_hosts(),
        );
        let router = ProtectedRouter::new(authenticate)
            .route_service("/mcp", authenticated(), scopes.layer(service))
            .into_router();
        Self { router, ran: Ran::default() }
    }

    pub(crate) async fn post(&self, token: &str, body: impl Into<Cow<'static, [u8]>>) -> Answer {
        ask(Method::POST).bearer(token).body(body.into().into_owned()).of(&self.router).await
    }

    pub(crate) async fn call(&self, token: &str, method: &str, params: Value) -> Answer {
        self.call_within(None, token, method, params).await
    }

    pub(crate) async fn call_within(&self, session: Option<&str>, token: &str, method: &str, params: Value) -> Answer {
        let ask = ask(Method::POST).bearer(token).body(request(method, params).to_string());
        let ask = session.into_iter().fold(ask, |ask, session| ask.header("mcp-session-id", session));
        ask.of(&self.router).await
    }
}

/// A request as a client of MCP sends it, apart from its credentials.
pub(crate) fn ask(method: Method) -> Ask {
    Ask::with_method(method, "/mcp")
        .header("host", "localhost")
        .header("accept", "application/json, text/event-stream")
        .header("content-type", "application/json")
        .header("mcp-protocol-version", "2025-11-25")
}

pub(crate) fn request(method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
}

/// A token of `alice` with these scopes.
pub(crate) fn token(scope: &str) -> String {
    token_of("alice", scope)
}

pub(crate) fn token_of(subject: &str, scope: &str) -> String {
    mint().token().subject(subject).scope(scope).issue()
}

/// The result in the JSON of a response.
#[track_caller]
pub(crate) fn result(answer: &Answer) -> Value {
    answer.assert_pass();
    let message: Value = serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("no JSON: {answer:?}"));
    message.get("result").cloned().unwrap_or_else(|| panic!("no result: {answer:?}"))
}

/// A body without a known length, in the given pieces.
#[derive(Debug)]
pub(crate) struct Pieces(VecDeque<Bytes>);

impl Pieces {
    pub(crate) fn body(pieces: impl IntoIterator<Item = Bytes>) -> Body {
        Body::new(Self(pieces.into_iter().collect()))
    }

    /// Pieces of one byte.
    pub(crate) fn of(text: &str) -> Body {
        Self::body(text.bytes().map(|byte| Bytes::from(vec![byte])))
    }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }
}

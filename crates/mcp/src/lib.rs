//! Makes an MCP server an OAuth 2.0 resource server: scopes for each tool, prompt and resource.
//!
//! [`RequireMcpScopes`] is a Tower layer in front of a streamable HTTP endpoint of the Model Context Protocol, such as rmcp's.
//! It reads the JSON-RPC messages, requires of the token what each operation needs, and shows in lists what the token may
//! use. `Authenticate`, of `scopegate-tower`, goes around it.
//!
//! ```
//! use std::convert::Infallible;
//!
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use scopegate_core::{Issuer, ResourceServer, authenticated, scope};
//! use scopegate_mcp::{MessageBody, RequireMcpScopes};
//! use scopegate_tower::Authenticate;
//! use tower::{ServiceBuilder, service_fn};
//!
//! # async fn build() -> Result<(), scopegate_core::BuildError> {
//! let resource_server = ResourceServer::builder()
//!     .issuer(Issuer::discovered("https://tenant.example/oidc"))
//!     .audience("https://api.example/mcp")
//!     .build()
//!     .await?;
//!
//! let mcp = ServiceBuilder::new()
//!     .layer(Authenticate::new(resource_server))
//!     .layer(
//!         RequireMcpScopes::new()
//!             .tool("echo", authenticated())
//!             .tool("files/*", scope("files:read"))
//!             .resource("file:///*", scope("files:read")),
//!     )
//!     // In an application, rmcp's `StreamableHttpService`.
//!     .service(service_fn(|_: Request<MessageBody>| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) }));
//! # let _ = mcp;
//! # Ok(())
//! # }
//! ```
//!
//! # What is required
//!
//! | the client sends | the token needs |
//! |---|---|
//! | `initialize`, `ping`, `server/discover`, `logging/setLevel`, `notifications/…`, a response to the server | to be valid |
//! | `tools/list`, `prompts/list`, `resources/list`, `resources/templates/list` | to be valid; the list is filtered |
//! | `tools/call` | what was declared for the tool, and what its closure says for these arguments |
//! | `prompts/get` | what was declared for the prompt |
//! | `resources/read`, `resources/subscribe`, `resources/unsubscribe` | what was declared for the URI |
//! | `subscriptions/listen` | what was declared for each URI in it |
//! | `completion/complete` | what was declared for the prompt or the resource that it refers to |
//! | any other method | what was declared by [`method`](RequireMcpScopes::method) |
//! | `GET` (a stream of the server), `DELETE` (the end of a session) | to be valid |
//! | any of these for what was not declared | denied (403), and no scope is named, since none would help |
//!
//! A refusal is one of HTTP, 401 or 403, and not of JSON-RPC, so that a client knows that it has to get another token (MCP
//! 2025-11-25 and 2026-07-28, "Authorization"). The challenge of a 403 names all scopes of the operation, those of a whole batch
//! together, and the metadata document that `Authenticate` was told of. A batch is forwarded as a whole or not at all.
//!
//! `Authenticate` refuses a request without a token before its message is read, and names no scope but its
//! [`scope_hint`](scopegate_tower::Authenticate::scope_hint). With
//! [`optional`](scopegate_tower::Authenticate::optional) the 401 is this layer's and names the scopes of the operation; then
//! strangers may have messages read, up to the limits. Nothing is ever forwarded without a token.
//!
//! # What was judged is what is forwarded
//!
//! Two readers of one text may see two messages. Here a message is read once, strictly, and the inner service gets what was
//! read, written anew. Refused with 400 are: what is not one JSON text in UTF-8; a member name that occurs twice in an object,
//! at any depth, however it is escaped; member names by which `serde_json` makes values of its own; a JSON-RPC message with
//! members that JSON-RPC does not know, or that is a request and a response at once; an id that is no string and no whole
//! number; a parameter whose name differs in case alone from one that is judged. Numbers are forwarded as they were written.
//! [`Operations`], in the extensions of the forwarded request, says what was judged.
//!
//! The `Authorization` header, and another one that carries tokens, is not forwarded: a token is for this server alone (MCP, "Token
//! Handling"). A [`RequireActive`](scopegate_tower::RequireActive) goes outside of this layer. Bodies of `GET` and `DELETE` are
//! dropped, and so are the `Last-Event-ID` of a `POST` and `Upgrade`, behind which there would be messages that nobody reads.
//!
//! # Lists
//!
//! What the token may not use is left out of lists, by the same requirement that guards the call; what a closure requires
//! depends on arguments, and plays no part. A page may be short, or empty, and still have a `nextCursor`. A
//! `cacheScope` becomes `private`, and one is added where there is a `ttlMs`, since the list is this caller's. Responses are
//! read as strictly as requests. One that cannot be read, or is larger than
//! [`max_message_size`](RequireMcpScopes::max_message_size), is answered 500, and an event stream ends; nothing is passed on
//! unfiltered. `Accept-Encoding` is not forwarded with a list request, since what is compressed cannot be read: compress outside
//! of this layer.
//!
//! Filtered are the responses to requests with a list in them, whatever comes by `GET`, since a stream that is resumed repeats
//! earlier responses, and all responses within a session, since a server may send a list by the stream of another request that
//! has the same id. There, a list is known by its shape (`tools`, `prompts`, `resources` or `resourceTemplates` in a result), not
//! by its id. Other responses are passed on as they are.
//!
//! # Sessions
//!
//! A session id is no credential: each request needs a token (MCP, "Session Hijacking"). A session is bound to the principal
//! that the server named it to: the issuer and the subject, or the client where it acts for itself. For others, and when it is
//! unknown, it is answered 404, upon which clients begin another session. A stream is resumed (`Last-Event-ID`) within a session
//! alone; elsewhere the answer is 405, upon which clients go on without it. Sessions are known to one process: behind a load
//! balancer, send a session to the replica that began it, or run the server without sessions, which is all that revision
//! 2026-07-28 has.
//!
//! # What is not checked
//!
//! - Arguments are not validated against a tool's schema, nor anything in a result but the names in lists.
//! - The headers `Mcp-Method`, `Mcp-Name` and `Mcp-Param-…` are forwarded and not read. A server that follows MCP 2026-07-28
//!   compares them with the body.
//! - Whether the event of a `Last-Event-ID` is one of the session. A server whose store of events is shared by sessions has to
//!   compare them, or to give events ids that nobody guesses.
//! - `Host` and `Origin`, which the server checks against DNS rebinding.
//! - What one tool does on behalf of another, and what the server asks of the client.
//!
//! # Features
//!
//! - `rmcp`: `verified_token`, the token of a request inside of an rmcp handler.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod body;
mod events;
mod exchange;
mod future;
mod json;
mod layer;
mod lists;
mod message;
mod operations;
mod problem;
#[cfg(feature = "rmcp")]
mod rmcp;
mod rules;
mod service;
mod session;

#[cfg(feature = "rmcp")]
pub use self::rmcp::verified_token;
pub use self::{
    body::{McpResponseBody, MessageBody},
    future::McpFuture,
    layer::RequireMcpScopes,
    message::RequestId,
    operations::{Operation, Operations},
    rules::Call,
    service::McpService,
};

use std::{fmt, sync::Arc};

use scopegate_core::{Access, ScopeToken};
use tower_layer::Layer;

use crate::{
    McpService,
    rules::{Call, PerCall, Policy, Rules, requirement},
    session::{DEFAULT_MAX_SESSIONS, Sessions},
};

/// How large a message may be. That of a tool call is rarely above a few kilobytes; 4 MiB leaves room for a file in an argument
/// and is what the Rust SDK of MCP takes as well.
const DEFAULT_MAX_MESSAGE_SIZE: usize = 4 * 1024 * 1024;

/// How deep a message may be nested. Tools take a few levels; 64 is half of what `serde_json` reads, so that the inner server
/// can read whatever is let through.
const DEFAULT_MAX_DEPTH: usize = 64;

/// What `serde_json` reads.
const MOST_DEPTH: usize = 127;

/// Layer: requires scopes for each tool, prompt and resource of an MCP server. See the [crate docs](crate).
///
/// Names are compared character for character. A pattern with a `*` at its end stands for all names that begin with what is
/// before it; the whole name decides first, then the longest pattern. What matches nothing is denied.
///
/// A pattern covers no name that a lenient server may take for something else: none with a path segment `.` or `..` in it, and
/// none that another declaration would decide, were the name percent-decoded (up to three times), its white space and control
/// characters dropped, `\` and `//` made `/`, and ASCII letters taken without regard to case. With `file:///*` and
/// `file:///secret/*`, nobody gets `file:///%73ecret/a`. What else the server takes for the same, such as `file:/secret/a` or a
/// symbolic link, is its own: give patterns that begin alike the same scheme and host, and no `*` alone beside narrower ones.
///
/// ```
/// use scopegate_core::{authenticated, scope};
/// use scopegate_mcp::RequireMcpScopes;
///
/// RequireMcpScopes::new()
///     .tool("echo", authenticated())
///     .tool("files/*", scope("files:read"))
///     .tool_with("transfer", scope("pay"), |call| {
///         // Whatever is not a small amount needs the larger scope, also a text or nothing at all.
///         let amount = call.arguments().get("amount").and_then(|amount| amount.as_f64());
///         if amount.is_some_and(|amount| amount <= 100.0) { scope("pay") } else { scope("pay:large") }
///     })
///     .prompt("summary", scope("files:read"))
///     .resource("file:///public/*", authenticated())
///     .resource("file:///*", scope("files:read"));
/// ```
#[derive(Clone)]
#[must_use = "a layer does nothing until it is applied"]
pub struct RequireMcpScopes {
    settings: Arc<Settings>,
}

#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) policy: Arc<Policy>,
    pub(crate) max_message_size: usize,
    pub(crate) max_depth: usize,
    /// Shared by all services of the layer and of its clones: axum applies it to each path of a nested service.
    pub(crate) sessions: Sessions,
}

impl RequireMcpScopes {
    /// Denies every tool, prompt and resource.
    pub fn new() -> Self {
        Self {
            settings: Arc::new(Settings {
                policy: Arc::default(),
                max_message_size: DEFAULT_MAX_MESSAGE_SIZE,
                max_depth: DEFAULT_MAX_DEPTH,
                sessions: Sessions::new(DEFAULT_MAX_SESSIONS),
            }),
        }
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }

    fn policy(&mut self) -> &mut Policy {
        Arc::make_mut(&mut Arc::make_mut(&mut self.settings).policy)
    }

    #[track_caller]
    fn declare(
        mut self,
        rules: impl FnOnce(&mut Policy) -> &mut Rules,
        pattern: &str,
        access: impl Into<Access>,
        per_call: Option<PerCall>,
    ) -> Self {
        let access = access.into();
        rules(self.policy()).add(pattern, &access, per_call);
        self.policy().note_scopes(&access);
        self
    }

    /// Says who may see and call a tool, or all tools whose name begins with what is before a `*`.
    ///
    /// # Panics
    ///
    /// When the pattern is empty or declared already, or has a `*` that is not its last character; when `access` is public or
    /// optional; and when a `*` alone would let any token use everything.
    #[track_caller]
    pub fn tool(self, pattern: &str, access: impl Into<Access>) -> Self {
        self.declare(|policy| &mut policy.tools, pattern, access, None)
    }

    /// Says who may see a tool, and what each call requires besides, by its name and arguments. A call needs both; lists, which
    /// have no arguments, need `access` alone.
    ///
    /// The closure runs for every call, before the token's scope is looked at, so it must be fast and must not block. Where it
    /// returns `public()` or `optional()`, `access` remains. A 403 names the scopes of both.
    ///
    /// # Panics
    ///
    /// As [`tool`](Self::tool).
    #[track_caller]
    pub fn tool_with<A: Into<Access>>(
        self,
        pattern: &str,
        access: impl Into<Access>,
        per_call: impl Fn(&Call<'_>) -> A + Send + Sync + 'static,
    ) -> Self {
        self.declare(|policy| &mut policy.tools, pattern, access, Some(erased(per_call)))
    }

    /// Says who may see, get and complete a prompt.
    ///
    /// # Panics
    ///
    /// As [`tool`](Self::tool).
    #[track_caller]
    pub fn prompt(self, pattern: &str, access: impl Into<Access>) -> Self {
        self.declare(|policy| &mut policy.prompts, pattern, access, None)
    }

    /// Says who may see a prompt, and what getting it requires besides, as [`tool_with`](Self::tool_with) does. For a completion
    /// the arguments are empty.
    ///
    /// # Panics
    ///
    /// As [`tool`](Self::tool).
    #[track_caller]
    pub fn prompt_with<A: Into<Access>>(
        self,
        pattern: &str,
        access: impl Into<Access>,
        per_call: impl Fn(&Call<'_>) -> A + Send + Sync + 'static,
    ) -> Self {
        self.declare(|policy| &mut policy.prompts, pattern, access, Some(erased(per_call)))
    }

    /// Says who may see, read and subscribe to a resource by its URI. A template is a resource whose URI is the text of the
    /// template: `file:///{path}` is listed and completed where that text is declared.
    ///
    /// # Panics
    ///
    /// As [`tool`](Self::tool).
    #[track_caller]
    pub fn resource(self, pattern: &str, access: impl Into<Access>) -> Self {
        self.declare(|policy| &mut policy.resources, pattern, access, None)
    }

    /// Says who may see a resource, and what reading it or subscribing to it requires besides, by its URI, which is the
    /// [`name`](Call::name) of the call.
    ///
    /// # Panics
    ///
    /// As [`tool`](Self::tool).
    #[track_caller]
    pub fn resource_with<A: Into<Access>>(
        self,
        pattern: &str,
        access: impl Into<Access>,
        per_call: impl Fn(&Call<'_>) -> A + Send + Sync + 'static,
    ) -> Self {
        self.declare(|policy| &mut policy.resources, pattern, access, Some(erased(per_call)))
    }

    /// Says who may call a method that this crate does not know, such as `tasks/get` or one of an extension. Its parameters are
    /// not looked at, and neither is its result, but for lists within a session. A notification is declared by its method, too,
    /// unless that begins with `notifications/`.
    ///
    /// # Panics
    ///
    /// When this crate knows the method, when it is empty or declared already, and when `access` is public or optional.
    #[track_caller]
    pub fn method(mut self, name: &str, access: impl Into<Access>) -> Self {
        assert!(!name.is_empty(), "a name is empty; give that of a method");
        assert!(
            !crate::message::is_known_method(name),
            "{name:?} is decided by what it asks for; declare the tool, prompt or resource"
        );
        let access = access.into();
        let requirement = requirement(name, &access);
        self.policy().note_scopes(&access);
        let is_new = self.policy().methods.insert(name.into(), requirement).is_none();
        assert!(is_new, "{name:?} is declared twice; state its whole requirement once");
        self
    }

    /// Every scope that was declared, each once, for [`ProtectedResource::scopes`](scopegate_core::ProtectedResource::scopes): a
    /// client without a token reads there what it may ask for. Scopes that only a closure names are not known before a call.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.settings.policy.scopes.iter().map(ScopeToken::as_str)
    }

    /// Limits the size of a body that is read, in bytes: that of a request, and of a response or event in which there may be a
    /// list, which are all within a session. Default: 4 MiB. A larger request is refused with 413. While it is judged, a message of many small values takes up to
    /// 35 times its size in memory.
    ///
    /// # Panics
    ///
    /// When it is 0.
    #[track_caller]
    pub fn max_message_size(self, bytes: usize) -> Self {
        assert!(bytes > 0, "no message has 0 bytes; give the size of the largest one");
        self.with(|settings| settings.max_message_size = bytes)
    }

    /// Limits how many objects and arrays of a message may be within one another. Default: 64.
    ///
    /// # Panics
    ///
    /// When it is below 4, since a tool's arguments are at the third level, or above 127, which `serde_json` does not read.
    #[track_caller]
    pub fn max_depth(self, levels: usize) -> Self {
        assert!((4..=MOST_DEPTH).contains(&levels), "the depth is {levels}; it may be from 4 to {MOST_DEPTH}");
        self.with(|settings| settings.max_depth = levels)
    }

    /// Limits how many sessions are known, of all callers together. Default: 65 536, which take some six megabytes. When there
    /// are more, those that are used least are forgotten, and their clients are told to begin another (404).
    ///
    /// # Panics
    ///
    /// When it is 0.
    #[track_caller]
    pub fn max_sessions(self, sessions: usize) -> Self {
        assert!(sessions > 0, "without sessions no client could use the one that it was given; allow at least one");
        self.with(|settings| settings.sessions = Sessions::new(sessions))
    }
}

fn erased<A: Into<Access>>(per_call: impl Fn(&Call<'_>) -> A + Send + Sync + 'static) -> PerCall {
    Arc::new(move |call| per_call(call).into())
}

impl Default for RequireMcpScopes {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for RequireMcpScopes {
    type Service = McpService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        McpService::new(inner, Arc::clone(&self.settings))
    }
}

impl fmt::Debug for RequireMcpScopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireMcpScopes")
            .field("policy", &self.policy)
            .field("max_message_size", &self.max_message_size)
            .field("max_depth", &self.max_depth)
            .finish_non_exhaustive()
    }
}

//! Every fault of an issuer, at three moments in the life of a service, and the responses to tokens meanwhile.
//!
//! The oracle knows nothing of how keys are cached. It knows which keys the issuer publishes, which documents were delivered
//! in full, and how much time has passed, and derives the permitted responses from these. The results are the table of
//! `docs/issuer-outages.md`, which the test compares.

mod rendered;
mod wire;

use std::{
    fmt,
    sync::{
        Arc, LazyLock, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{Request, Response};
use scopegate_axum::Issuer;
use scopegate_core::{
    BoxFuture,
    clock::Clock as _,
    fetch::{Fetch, FetchError, FetchLimits, ReqwestFetch},
};
use scopegate_testing::{Mint, SigningAlgorithm, SigningKey, SigningKeys, TestClock};
use scopegate_tests::{
    AUDIENCE, Answer, Api, Ask, ISSUER, JWKS_URL, METADATA_URL, Network, OIDC_URL, Reply, clock, count_panics, panics,
    resource_server, settle,
};
use serde_json::json;
use tokio::task::JoinHandle;

use self::wire::{EXPIRED, Server, Wire};

/// The clock's step.
const STEP: u64 = 5;
/// How long a fault lasts: several refreshes, and beyond the lifetime of the keys and of the metadata.
const FAULT: u64 = 12 * 60;
/// The time within which everything recovers: two refresh intervals.
const RECOVERY: u64 = 10 * 60;
/// How long keys are fresh by default.
const LIFETIME: u64 = 5 * 60;
/// How long stale keys are used while the issuer is down.
const STALE_IF_ERROR: u64 = DAY;
const DAY: u64 = 24 * 60 * 60;
/// The least time between two attempts.
const COOL_DOWN: u64 = 30;
/// The longest wait for a response: all documents of one attempt.
const PATIENCE: u64 = 10;

static OLD: LazyLock<SigningKeys> = LazyLock::new(|| key("old"));
static NEW: LazyLock<SigningKeys> = LazyLock::new(|| key("new"));
static STRANGER: LazyLock<SigningKeys> = LazyLock::new(|| key("stranger"));

fn key(key_id: &str) -> SigningKeys {
    SigningKey::generate(SigningAlgorithm::Es256).with_key_id(key_id).into()
}

/// A fault of the issuer.
struct Fault {
    name: &'static str,
    hits: Hits,
    way: Way,
}

/// The documents that a fault affects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hits {
    Everything,
    Keys,
    Metadata,
}

impl Hits {
    fn hits(self, url: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Keys => !url.contains("/.well-known/"),
            Self::Metadata => url.contains("/.well-known/"),
        }
    }
}

#[derive(Clone, Copy)]
enum Way {
    /// The address responds with this instead.
    Reply(fn(&Good) -> Reply),
    /// The connection behaves like this instead.
    Wire(Wire),
    /// Nobody answers, and the clock goes forward a day, or back.
    Clock { forward: bool },
}

/// The regular documents of the issuer.
struct Good {
    keys: String,
    before_rotation: String,
}

fn answering(name: &'static str, hits: Hits, reply: fn(&Good) -> Reply) -> Fault {
    Fault { name, hits, way: Way::Reply(reply) }
}

fn on_the_wire(name: &'static str, hits: Hits, wire: Wire) -> Fault {
    Fault { name, hits, way: Way::Wire(wire) }
}

fn metadata(member: serde_json::Value) -> Reply {
    let mut document = json!({ "issuer": ISSUER });
    document.as_object_mut().expect("an object").extend(member.as_object().expect("an object").clone());
    Reply::ok(document.to_string())
}

/// A JWK Set of this key, with changes.
fn set_of(change: impl Fn(SigningKey) -> SigningKey) -> Reply {
    let changed: SigningKeys = OLD.iter().chain(NEW.iter()).cloned().map(change).collect();
    Reply::ok(changed.jwks_json())
}

fn faults() -> Vec<Fault> {
    use Hits::{Everything, Keys, Metadata};
    vec![
        // There is no response.
        on_the_wire("connection refused", Everything, Wire::Refused),
        on_the_wire("the name does not resolve", Everything, Wire::Unresolved),
        on_the_wire("connection accepted, then silence", Everything, Wire::Silence),
        on_the_wire("TLS handshake never answered", Everything, Wire::TlsSilence),
        on_the_wire("TLS handshake answered with something else", Everything, Wire::TlsGarbage),
        on_the_wire("certificate expired", Everything, Wire::TlsExpired),
        on_the_wire("connection reset at once", Everything, Wire::Reset),
        on_the_wire("connection reset within the headers", Everything, Wire::ResetInHead),
        on_the_wire("connection reset within the body", Keys, Wire::ResetInBody),
        on_the_wire("headers stop half way", Everything, Wire::StalledHead),
        on_the_wire("headers never end", Everything, Wire::EndlessHead),
        on_the_wire("one byte a second", Keys, Wire::Trickle),
        on_the_wire("body shorter than its `Content-Length`", Keys, Wire::Truncated),
        on_the_wire("body that never ends", Keys, Wire::EndlessBody),
        on_the_wire("compressed body that was not asked for, 10 MiB when unpacked", Keys, Wire::GzipBomb),
        answering("no answer, ever", Everything, |_| Reply::Never),
        answering("keys that come too late, from before the rotation", Keys, |good| {
            Reply::After(Duration::from_secs(20), Box::new(Reply::ok(good.before_rotation.clone())))
        }),
        answering("HTTP client that panics", Everything, |_| Reply::Panics),
        // The status says that there is no document.
        answering("status 500", Everything, |_| Reply::status(500, "")),
        answering("status 502", Everything, |_| Reply::status(502, "<html>bad gateway</html>")),
        answering("status 503", Everything, |_| Reply::status(503, "")),
        answering("status 503, `Retry-After: 120`", Everything, |_| Reply::status(503, "").field("retry-after", "120")),
        answering("status 503, `Retry-After: 99999999`", Everything, |_| {
            Reply::status(503, "").field("retry-after", "99999999")
        }),
        answering("status 429", Everything, |_| Reply::status(429, "")),
        answering("status 429, `Retry-After: 60`", Keys, |_| Reply::status(429, "").field("retry-after", "60")),
        answering("status 404", Everything, |_| Reply::status(404, "")),
        answering("status 401", Keys, |good| Reply::status(401, good.keys.clone())),
        answering("status 201, with good keys", Keys, |good| Reply::status(201, good.keys.clone())),
        answering("status 204", Keys, |_| Reply::status(204, "")),
        answering("status 206, with good keys", Keys, |good| Reply::status(206, good.keys.clone())),
        answering("status 304 that was not asked for", Keys, |_| {
            Reply::status(304, "").field("cache-control", "max-age=86400")
        }),
        on_the_wire("redirect to another host", Everything, Wire::RedirectElsewhere),
        on_the_wire("redirect to a link-local address", Everything, Wire::RedirectLinkLocal),
        on_the_wire("redirect to itself", Everything, Wire::RedirectLoop),
        answering("redirect to plain http", Keys, |_| {
            Reply::status(301, "").field("location", "http://as.example/jwks")
        }),
        // The document has no usable keys.
        answering("HTML page", Keys, |_| {
            Reply::ok("<html><body>Maintenance</body></html>").field("content-type", "text/html")
        }),
        answering("empty body", Keys, |_| Reply::ok("")),
        answering("`null`", Keys, |_| Reply::ok("null")),
        answering("`[]`", Keys, |_| Reply::ok("[]")),
        answering("`{}`", Keys, |_| Reply::ok("{}")),
        answering("`{\"keys\":null}`", Keys, |_| Reply::ok(r#"{"keys":null}"#)),
        answering("`{\"keys\":{}}`", Keys, |_| Reply::ok(r#"{"keys":{}}"#)),
        answering("`{\"keys\":[]}`", Keys, |_| Reply::ok(r#"{"keys":[]}"#)),
        answering("JSON cut short", Keys, |good| Reply::ok(good.keys[..good.keys.len() - 2].to_owned())),
        answering("byte order mark before the JSON", Keys, |good| Reply::ok(format!("\u{feff}{}", good.keys))),
        answering("duplicate member", Keys, |good| {
            Reply::ok(format!(r#"{{"keys":[],{}"#, good.keys.trim_start_matches('{')))
        }),
        answering("encryption keys only", Keys, |_| set_of(|key| key.with_jwk_member("use", "enc"))),
        answering("symmetric keys only", Keys, |_| {
            Reply::ok(
                r#"{"keys":[{"kty":"oct","kid":"old","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75"}]}"#,
            )
        }),
        answering("101 keys", Keys, |_| {
            let many: SigningKeys = (0..101).flat_map(|_| OLD.iter().cloned()).collect();
            Reply::ok(many.jwks_json())
        }),
        answering("body longer than 512 KiB", Keys, |good| {
            Reply::ok(format!("{}{}", good.keys, " ".repeat(512 * 1024)))
        }),
        answering("two answers mixed into one", Keys, |good| {
            let (this, that) = (OLD.jwks_json(), NEW.jwks_json());
            let half = this.len() / 2;
            assert_eq!(this.len(), that.len(), "{}", good.keys);
            Reply::ok(format!("{}{}", &this[..half], &that[half..]))
        }),
        // The metadata is unusable.
        answering("metadata is an HTML page", Metadata, |_| Reply::ok("<html></html>")),
        answering("metadata of another issuer", Metadata, |_| {
            metadata(json!({ "issuer": "https://as.example/", "jwks_uri": JWKS_URL }))
        }),
        answering("metadata without `jwks_uri`", Metadata, |_| metadata(json!({}))),
        answering("`jwks_uri` is plain http", Metadata, |_| metadata(json!({ "jwks_uri": "http://as.example/jwks" }))),
        answering("`jwks_uri` is a file", Metadata, |_| metadata(json!({ "jwks_uri": "file:///etc/passwd" }))),
        answering("`jwks_uri` is link-local", Metadata, |_| {
            metadata(json!({ "jwks_uri": "http://169.254.169.254/latest/meta-data" }))
        }),
        answering("`jwks_uri` has user information", Metadata, |_| {
            metadata(json!({ "jwks_uri": "https://as.example@evil.example/jwks" }))
        }),
        answering("`jwks_uri` is an array", Metadata, |_| metadata(json!({ "jwks_uri": [JWKS_URL] }))),
        // Others.
        answering("copy of the keys from before the rotation", Keys, |good| Reply::ok(good.before_rotation.clone())),
        Fault {
            name: "no answer, and the clock goes back a day",
            hits: Everything,
            way: Way::Clock { forward: false },
        },
        Fault { name: "no answer, and the clock goes on a day", hits: Everything, way: Way::Clock { forward: true } },
    ]
}

/// The moment at which a fault begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Keys were never loaded.
    Start,
    /// Keys are cached.
    Steady,
    /// Keys are cached, and the issuer has begun to sign with a new key, which it publishes beside the old one.
    Rotation,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Start => "at start",
            Self::Steady => "steady",
            Self::Rotation => "rotation",
        })
    }
}

/// Which of the two keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Held {
    old: bool,
    new: bool,
}

/// What the oracle knows: the requests to the issuer, and its responses.
#[derive(Debug, Default)]
struct Ledger {
    /// Seconds since the beginning. Setting the clock back does not reduce them.
    elapsed: AtomicU64,
    in_flight: AtomicUsize,
    broken: AtomicBool,
    /// How many requests the fault affected.
    struck: AtomicUsize,
    asked: Mutex<Vec<(u64, String)>>,
    handed_over: Mutex<HandedOver>,
}

#[derive(Clone, Copy, Debug, Default)]
struct HandedOver {
    keys: Option<(Held, u64)>,
    /// Whether this was the last document that was requested.
    was_last: bool,
}

impl Ledger {
    fn elapsed(&self) -> u64 {
        self.elapsed.load(Ordering::SeqCst)
    }

    fn handed_over(&self) -> MutexGuard<'_, HandedOver> {
        self.handed_over.lock().expect("not poisoned")
    }

    fn facts(&self) -> Facts {
        Facts { at: self.elapsed(), handed_over: *self.handed_over() }
    }

    /// The keys of a document, if the issuer publishes it.
    fn recognize(document: &[u8]) -> Option<Held> {
        let known = [(&*OLD, Held { old: true, new: false }), (&BOTH, Held { old: true, new: true })];
        known.into_iter().find(|(keys, _)| keys.jwks_json().as_bytes() == document).map(|(_, held)| held)
    }
}

static BOTH: LazyLock<SigningKeys> = LazyLock::new(|| OLD.followed_by(&NEW));

/// A client that records in the ledger.
#[derive(Clone, Debug)]
struct Kept {
    client: Arc<dyn Fetch>,
    ledger: Arc<Ledger>,
    hits: Hits,
    /// Where requests really go while the fault lasts.
    detour: Option<String>,
}

/// The real time-out for a broken socket. The test clock stands still meanwhile.
const SHORT: Duration = Duration::from_millis(150);

impl Fetch for Kept {
    fn fetch(
        &self,
        mut request: Request<Bytes>,
        mut limits: FetchLimits,
    ) -> BoxFuture<'static, Result<Response<Bytes>, FetchError>> {
        let ledger = Arc::clone(&self.ledger);
        let url = request.uri().to_string();
        ledger.asked.lock().expect("not poisoned").push((ledger.elapsed(), url.clone()));
        ledger.handed_over().was_last = false;
        if ledger.broken.load(Ordering::SeqCst) && self.hits.hits(&url) {
            ledger.struck.fetch_add(1, Ordering::SeqCst);
            limits = FetchLimits::new(limits.body, SHORT);
            if let Some(detour) = &self.detour {
                *request.uri_mut() = format!("{detour}{}", request.uri().path()).parse().expect("a URL");
            }
        }
        let client = Arc::clone(&self.client);
        let flight = Flight::new(&ledger);
        Box::pin(async move {
            let _flight = flight;
            let response = client.fetch(request, limits).await?;
            let is_set = response.status() == 200 && Hits::Keys.hits(&url);
            if let Some(held) = Ledger::recognize(response.body()).filter(|_| is_set) {
                *ledger.handed_over() = HandedOver { keys: Some((held, ledger.elapsed())), was_last: true };
            }
            Ok(response)
        })
    }
}

/// A request under way.
struct Flight(Arc<Ledger>);

impl Flight {
    fn new(ledger: &Arc<Ledger>) -> Self {
        ledger.in_flight.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(ledger))
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

#[derive(Clone, Copy)]
struct Facts {
    at: u64,
    handed_over: HandedOver,
}

impl Facts {
    /// Whether a key was delivered, and how long ago.
    fn age_of(&self, which: Which) -> Option<u64> {
        let (held, at) = self.handed_over.keys?;
        let was_delivered = match which {
            Which::Old => held.old,
            Which::New => held.new,
        };
        was_delivered.then(|| self.at - at)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Old,
    New,
}

/// The kind of token that is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Good(Which),
    /// Signed with an unknown key, under the old key's id.
    Forged,
    /// Signed with an unknown key, under an unknown id: every third time the same one.
    Unknown,
    Expired,
    WrongAudience,
}

/// The oracle's verdict on a response.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Right,
    /// 401 for a valid token: within the cool-down of a fetch that did not deliver its key.
    Documented,
    Wrong(&'static str),
    Lost,
}

/// Judges a response to `kind` by what was delivered before and during the request.
fn judge(kind: Kind, answer: &Answer, before: Facts, after: Facts) -> Verdict {
    let seconds = answer.header("retry-after").and_then(|seconds| seconds.parse::<u64>().ok());
    let well_formed = match answer.status.as_u16() {
        200 => answer.challenge().is_none(),
        401 => answer.challenge().is_some_and(|challenge| {
            challenge.starts_with(&format!("Bearer realm=\"{AUDIENCE}\", error=\"invalid_token\""))
        }),
        503 => answer.challenge().is_none() && seconds.is_some_and(|seconds| (1..=300).contains(&seconds)),
        _ => false,
    };
    if !well_formed {
        return Verdict::Wrong("neither 200, nor 401 with a challenge, nor 503 with a time to come again");
    }
    let serves = |age: Option<u64>| age.is_some_and(|age| age <= LIFETIME + STALE_IF_ERROR);
    match (kind, answer.status.as_u16()) {
        (Kind::Good(which), status) => {
            let (first, last) = (before.age_of(which), after.age_of(which));
            match status {
                200 if serves(first) || serves(last) => Verdict::Right,
                200 if first.is_some() => Verdict::Wrong("200 by a key that is too old to be relied on"),
                200 => Verdict::Wrong("200 by a key that nobody handed over"),
                _ if serves(first) && serves(last) => Verdict::Lost,
                503 => Verdict::Right,
                _ if last.is_none() && after.handed_over.was_last => Verdict::Documented,
                _ => Verdict::Wrong("401 for a good token"),
            }
        }
        (_, 200) => Verdict::Wrong("200 for a bad token"),
        (Kind::Unknown, _) | (_, 401) => Verdict::Right,
        // A service with the key, within the key's lifetime, must decide.
        (_, _) if [before, after].iter().all(|facts| facts.age_of(Which::Old).is_some_and(|age| age <= LIFETIME)) => {
            Verdict::Wrong("503 for a bad token that is known to be bad")
        }
        _ => Verdict::Right,
    }
}

/// An issuer with a fault, a service that trusts it, and the books.
struct World {
    fault: Arc<Fault>,
    clock: TestClock,
    ledger: Arc<Ledger>,
    network: Network,
    server: Option<Server>,
    api: Api,
    issuer: String,
    published: Held,
    tokens: Vec<(Kind, String)>,
    minted: Option<SystemTime>,
    waiting: Vec<Waiting>,
    invented: usize,
    jumps: u64,
    books: Books,
}

struct Waiting {
    kind: Kind,
    before: Facts,
    answer: JoinHandle<Answer>,
}

/// The results of one phase of one fault.
#[derive(Debug, Default)]
struct Books {
    requests: usize,
    passed: usize,
    documented: usize,
    lost: usize,
    wrong: Vec<String>,
    fetches: usize,
    /// How many requests the fault affected.
    struck: usize,
    /// The statuses of valid tokens during the fault, in order of first occurrence.
    old: Vec<u16>,
    new: Vec<u16>,
    recovered: Option<u64>,
}

impl World {
    async fn new(fault: &Arc<Fault>, client: Option<&ReqwestFetch>) -> Self {
        let clock = clock();
        let ledger = Arc::new(Ledger::default());
        let network = Network::new(&clock);
        let server = match fault.way {
            Way::Wire(wire) => Some(Server::start(wire, fault.hits, Arc::clone(&ledger)).await),
            _ => None,
        };
        let kept = match &server {
            Some(server) => Kept {
                client: Arc::new(client.expect("a client for sockets").clone()),
                ledger: Arc::clone(&ledger),
                hits: fault.hits,
                detour: server.detour(),
            },
            None => {
                Kept { client: Arc::new(network.clone()), ledger: Arc::clone(&ledger), hits: fault.hits, detour: None }
            }
        };
        let issuer = server.as_ref().map_or(ISSUER.to_owned(), |server| server.issuer.clone());
        let trusted = Issuer::discovered(issuer.as_str()).dangerous_allow_http_on_loopback();
        let gate = resource_server().clock(clock.clone()).issuer(trusted).fetch(kept).build().await;
        let mut world = Self {
            fault: Arc::clone(fault),
            clock,
            ledger,
            network,
            server,
            api: Api::behind(gate.expect("good settings")),
            issuer,
            published: Held { old: true, new: false },
            tokens: Vec::new(),
            minted: None,
            waiting: Vec::new(),
            invented: 0,
            jumps: 0,
            books: Books::default(),
        };
        world.mend();
        world
    }

    fn keys(&self) -> String {
        if self.published.new { BOTH.jwks_json() } else { OLD.jwks_json() }
    }

    /// Ends the fault.
    fn mend(&mut self) {
        self.ledger.broken.store(false, Ordering::SeqCst);
        if let Some(server) = &self.server {
            server.publish(self.keys());
        }
        self.network.put(METADATA_URL, metadata(json!({ "jwks_uri": JWKS_URL })));
        self.network.put(OIDC_URL, Reply::status(404, ""));
        self.network.put(JWKS_URL, Reply::ok(self.keys()));
    }

    /// Begins the fault.
    fn spoil(&mut self) {
        self.mend();
        self.ledger.broken.store(true, Ordering::SeqCst);
        let good = Good { keys: self.keys(), before_rotation: OLD.jwks_json() };
        let reply = match self.fault.way {
            Way::Reply(reply) => reply(&good),
            Way::Clock { .. } => Reply::Fails("connection refused"),
            Way::Wire(_) => return,
        };
        for url in [METADATA_URL, OIDC_URL, JWKS_URL] {
            if self.fault.hits.hits(url) {
                self.network.put(url, reply.clone());
            }
        }
    }

    /// Advances the clock by one step.
    async fn step(&mut self) {
        self.ledger.elapsed.fetch_add(STEP, Ordering::SeqCst);
        self.clock.advance(Duration::from_secs(STEP));
        self.rest().await;
    }

    /// Runs everything that does not depend on the clock, and judges the responses.
    async fn rest(&mut self) {
        settle().await;
        // Sockets take real time. The test clock stands still until they are done.
        let mut naps = 0;
        while self.server.is_some() && self.ledger.in_flight.load(Ordering::SeqCst) > 0 {
            naps += 1;
            assert!(naps < 10_000, "{}: a socket is never done", self.fault.name);
            wire::nap(Duration::from_millis(2)).await;
            settle().await;
        }
        for waiting in std::mem::take(&mut self.waiting) {
            if waiting.answer.is_finished() {
                let answer = waiting.answer.await.expect("a request does not panic");
                self.enter(waiting.kind, &answer, waiting.before);
            } else if self.ledger.elapsed() - waiting.before.at > PATIENCE {
                self.books.wrong.push(format!("{:?}: no answer in {PATIENCE} seconds", waiting.kind));
            } else {
                self.waiting.push(waiting);
            }
        }
    }

    fn enter(&mut self, kind: Kind, answer: &Answer, before: Facts) {
        let status = answer.status.as_u16();
        self.books.requests += 1;
        self.books.passed += usize::from(status == 200);
        match judge(kind, answer, before, self.ledger.facts()) {
            Verdict::Right => {}
            Verdict::Documented => self.books.documented += 1,
            Verdict::Lost => {
                self.books.lost += 1;
                self.books.wrong.push(format!("{kind:?} at {} s: lost, {answer:?}", before.at));
            }
            Verdict::Wrong(why) => self.books.wrong.push(format!("{kind:?} at {} s: {why}, {answer:?}", before.at)),
        }
        if self.ledger.broken.load(Ordering::SeqCst) {
            let statuses = match kind {
                Kind::Good(Which::Old) => &mut self.books.old,
                Kind::Good(Which::New) => &mut self.books.new,
                _ => return,
            };
            if !statuses.contains(&status) {
                statuses.push(status);
            }
        }
    }

    fn ask(&mut self, kind: Kind) {
        let token = self.token(kind);
        let router = self.api.router.clone();
        let answer = tokio::spawn(async move { Ask::get("/me").bearer(token).of(&router).await });
        self.waiting.push(Waiting { kind, before: self.ledger.facts(), answer });
    }

    fn token(&mut self, kind: Kind) -> String {
        let now = self.clock.now();
        let apart = |then: SystemTime| {
            now.duration_since(then).unwrap_or_else(|earlier| earlier.duration()) > Duration::from_secs(120)
        };
        if self.minted.is_none_or(apart) {
            self.tokens.clear();
            self.minted = Some(now);
        }
        if let Some((_, token)) = self.tokens.iter().find(|(made, _)| *made == kind) {
            return token.clone();
        }
        let mint = |keys: &SigningKeys| {
            Mint::new(self.issuer.as_str(), keys.clone()).with_audience(AUDIENCE).with_clock(self.clock.clone())
        };
        let token = match kind {
            Kind::Good(Which::Old) => mint(&OLD).token().issue(),
            Kind::Good(Which::New) => mint(&NEW).token().issue(),
            Kind::Forged => mint(&STRANGER).token().key_id("old").issue(),
            Kind::Unknown => {
                self.invented += 1;
                let key_id = if self.invented.is_multiple_of(3) {
                    "again".to_owned()
                } else {
                    format!("junk-{}", self.invented)
                };
                return mint(&STRANGER).token().key_id(key_id).issue();
            }
            Kind::Expired => mint(&OLD).token().expired().issue(),
            Kind::WrongAudience => mint(&OLD).token().audience("https://other.example").issue(),
        };
        self.tokens.push((kind, token.clone()));
        token
    }

    /// Sends one request of each kind.
    async fn round(&mut self) {
        self.ask(Kind::Good(Which::Old));
        if self.published.new {
            self.ask(Kind::Good(Which::New));
        }
        for kind in [Kind::Forged, Kind::Unknown, Kind::Expired, Kind::WrongAudience] {
            self.ask(kind);
        }
        self.rest().await;
    }

    /// Asserts that only the issuer was contacted, and within the fetch budget.
    fn check_fetches(&mut self) {
        let asked = self.ledger.asked.lock().expect("not poisoned").clone();
        self.books.fetches = asked.len();
        self.books.struck = self.ledger.struck.load(Ordering::SeqCst);
        if self.books.struck == 0 {
            self.books.wrong.push("the fault met nobody".to_owned());
        }
        let (metadata, oidc, keys) = match &self.server {
            Some(server) => {
                let at = |url: &str| url.replace(ISSUER, &server.issuer);
                (at(METADATA_URL), at(OIDC_URL), at(JWKS_URL))
            }
            None => (METADATA_URL.to_owned(), OIDC_URL.to_owned(), JWKS_URL.to_owned()),
        };
        for (at, url) in &asked {
            if ![&metadata, &oidc, &keys].contains(&url) {
                self.books.wrong.push(format!("{url} was asked at {at} s"));
            }
        }
        for url in [metadata, oidc, keys] {
            let times: Vec<u64> = asked.iter().filter(|(_, asked)| *asked == url).map(|(at, _)| *at).collect();
            let early = times.windows(2).filter(|pair| pair[1] - pair[0] < COOL_DOWN).count();
            // The reserve: once for the rotation, and then at most once in ten cool-downs. A clock that jumps resets it.
            let lasted = self.ledger.elapsed() - DAY * u64::from(self.ledger.elapsed() > DAY);
            let reserve = 1 + lasted / (10 * COOL_DOWN) + self.jumps;
            if early as u64 > reserve {
                self.books.wrong.push(format!("{url} was asked too often: {times:?}"));
            }
        }
        if let Some(strays) = self.server.as_ref().map(Server::strays).filter(|strays| *strays > 0) {
            self.books.wrong.push(format!("{strays} connections to where a redirect pointed"));
        }
    }

    fn jump(&mut self, forward: bool) {
        self.jumps += 1;
        let now = self.clock.now();
        if forward {
            self.ledger.elapsed.fetch_add(DAY, Ordering::SeqCst);
            self.clock.set(now + Duration::from_secs(DAY));
        } else {
            self.clock.set(now - Duration::from_secs(DAY));
        }
    }

    async fn run(mut self, phase: Phase) -> Books {
        if phase != Phase::Start {
            self.ask(Kind::Good(Which::Old));
            self.rest().await;
            for _ in 0..12 {
                self.step().await;
            }
            self.round().await;
        }
        // A cool-down has passed since, so that later refusals are not for lack of budget.
        for _ in 0..6 {
            self.step().await;
        }
        self.published.new = phase == Phase::Rotation;
        self.spoil();
        for step in 0..FAULT / STEP {
            if let (24, Way::Clock { forward }) = (step, self.fault.way) {
                self.jump(forward);
            }
            if step % 6 == 0 {
                self.round().await;
            } else if step % 2 == 0 {
                self.ask(Kind::Good(Which::Old));
            }
            self.step().await;
        }
        // Requests that still wait get their responses.
        while !self.waiting.is_empty() {
            self.step().await;
        }

        self.mend();
        let mended = self.ledger.elapsed();
        while self.ledger.elapsed() < mended + RECOVERY {
            // No requests for a while.
            self.step().await;
            let facts = self.ledger.facts();
            if facts.handed_over.keys.is_some_and(|(held, at)| at > mended && held == self.published) {
                self.books.recovered.get_or_insert(facts.at - mended);
            }
        }
        let before = self.ledger.asked.lock().expect("not poisoned").len();
        self.ask(Kind::Good(Which::Old));
        if self.published.new {
            self.ask(Kind::Good(Which::New));
        }
        self.rest().await;
        let after = self.ledger.asked.lock().expect("not poisoned").len();
        if self.books.recovered.is_none() || before != after || !self.waiting.is_empty() {
            self.books.wrong.push("it did not recover by itself".to_owned());
        }
        self.round().await;
        self.check_fetches();
        if self.api.calls() != self.books.passed {
            self.books.wrong.push(format!(
                "{} requests passed, the handler ran {} times",
                self.books.passed,
                self.api.calls()
            ));
        }
        self.books
    }
}

/// A fault, and the results of each phase.
struct Row {
    fault: Arc<Fault>,
    phases: Vec<(Phase, Books)>,
}

const PHASES: [Phase; 3] = [Phase::Start, Phase::Steady, Phase::Rotation];

/// A client that trusts the expired certificate but for its time.
fn client() -> ReqwestFetch {
    ReqwestFetch::builder().root_certificates(EXPIRED.0).build().expect("a TLS provider")
}

/// Name and certificate failures are reported as what they are.
#[cfg(feature = "aws-lc-rs")]
#[tokio::test]
async fn k_13_dns_and_certificate_failures_are_named() {
    for (name, told) in [
        ("the name does not resolve", "failed to lookup address information"),
        ("certificate expired", "certificate expired"),
    ] {
        let (log, _listening) = scopegate_tests::Log::listen();
        let fault = faults().into_iter().find(|fault| fault.name == name).expect("a fault");
        let mut world = World::new(&Arc::new(fault), Some(&client())).await;
        world.spoil();
        let token = world.token(Kind::Good(Which::Old));
        Ask::get("/me").bearer(token).of(&world.api.router).await.assert_503();
        let lines = log.lines_with("cannot get the keys");
        assert!(lines.len() == 1 && lines[0].contains(told), "{name}: {lines:?}");
    }
}

#[tokio::test]
async fn issuer_faults_never_cause_a_wrong_decision() {
    count_panics();
    let client = cfg!(feature = "aws-lc-rs").then(client);
    let faults: Vec<_> = faults().into_iter().map(Arc::new).collect();
    let is_run = |fault: &Fault| client.is_some() || !matches!(fault.way, Way::Wire(_));
    // Sockets take real time, so those faults run concurrently.
    let on_sockets: Vec<Vec<JoinHandle<Books>>> = faults
        .iter()
        .map(|fault| {
            let phases = PHASES.iter().filter(|_| matches!(fault.way, Way::Wire(_)) && is_run(fault));
            let run = |phase: &Phase| {
                let (fault, client, phase) = (Arc::clone(fault), client.clone(), *phase);
                tokio::spawn(async move { World::new(&fault, client.as_ref()).await.run(phase).await })
            };
            phases.map(run).collect()
        })
        .collect();
    let mut rows = Vec::new();
    for (fault, on_sockets) in faults.iter().zip(on_sockets).filter(|(fault, _)| is_run(fault)) {
        let mut phases = Vec::new();
        let mut on_sockets = on_sockets.into_iter();
        for phase in PHASES {
            let books = match on_sockets.next() {
                Some(task) => task.await.expect("no panic"),
                None => World::new(fault, None).await.run(phase).await,
            };
            phases.push((phase, books));
        }
        rows.push(Row { fault: Arc::clone(fault), phases });
    }

    let (mut requests, mut documented, mut wrong, mut lost, mut fetches) = (0, 0, 0, 0, 0);
    for row in &rows {
        for (phase, books) in &row.phases {
            println!(
                "{:<62} {phase:<9} {:>4} requests, {:>3} passed, {:>3} fetches, well again after {:?} s",
                row.fault.name,
                books.requests,
                books.passed,
                books.fetches,
                books.recovered.unwrap_or_default(),
            );
            for fault in books.wrong.iter().take(3) {
                println!("    WRONG: {fault}");
            }
            requests += books.requests;
            documented += books.documented;
            wrong += books.wrong.len() - books.lost;
            lost += books.lost;
            fetches += books.fetches;
        }
    }
    println!("{} faults x {} phases, {requests} requests, {fetches} fetches", rows.len(), PHASES.len());
    println!("401 within the cool-down, as documented: {documented}");
    println!("wrong decisions: {wrong}, lost: {lost}");
    assert_eq!((wrong, lost), (0, 0));
    assert!(rows.len() >= 40);
    let injected: usize = rows
        .iter()
        .filter(|row| row.fault.name == "HTTP client that panics")
        .flat_map(|row| row.phases.iter().map(|(_, books)| books.struck))
        .sum();
    assert!(injected > 0);
    assert_eq!(panics(), injected, "nothing panics but what was made to");
    if client.is_some() {
        rendered::compare(&rows);
    }
}

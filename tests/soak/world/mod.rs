//! A service, its issuers and its clients in simulated time.

mod events;
mod minting;
mod requests;
mod site;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::{Duration, UNIX_EPOCH},
};

use axum::{Router, routing::get};
use scopegate_axum::{
    AccessToken, Authenticate, Issuer, RequireScope, ResourceServer,
    dpop::Dpop,
    introspection::{ClientAuthentication, Introspection},
};
use scopegate_core::clock::Clock as _;
use scopegate_testing::{DpopClient, SigningAlgorithm, TestClock};
use scopegate_tests::{AUDIENCE, INTROSPECTION_URL, ISSUER, JWKS_URL, METADATA_URL, NOW, Network, settle};
use tokio::task::JoinHandle;

use self::site::{Process, PublishedKey, Site, lock};
use crate::{
    faults::Fault,
    oracle::{Decision, LEEWAY, Moment},
    random::Random,
    report::Report,
    social::{SOCIAL_URL, Social},
    tokens::{Flaw, Kind, Token},
};

const OPAQUE_ISSUER: &str = "https://opaque.example";
const URL: &str = "https://api.example";

/// The tokens in use. The oldest make room.
const TOKENS: usize = 64;
/// Requests in a step.
const REQUESTS: u64 = 24;
/// Events of the history that a wrong decision is printed with.
const HISTORY: usize = 40;
/// The longest time that passes at once.
const LONGEST_STEP: Duration = Duration::from_secs(150);
/// Replies that come one after the other, in a second each: the metadata and the key set.
const SLOW_REPLIES: usize = 2;
/// How old a proof may be, in seconds, with what it may lie ahead.
const PROOF_AGE: u64 = 85;
/// How often others get their turn before a late request is given up.
const TURNS: usize = 50;
/// No request takes longer.
const PATIENCE: Duration = Duration::from_secs(60);
/// The cool-down of key fetches. One more is allowed for a key id that is named again and again.
const COOL_DOWN: Duration = Duration::from_secs(30);

/// A request on its way.
struct Open {
    token: Token,
    flaw: Option<Flaw>,
    /// A good proof that comes with it, and what it is for.
    fresh_proof: Option<(String, String)>,
    needs_scope: bool,
    start: Moment,
    clock_sets: u64,
    response: JoinHandle<Result<Response, String>>,
}

struct Response {
    status: u16,
    challenges: Vec<String>,
    has_retry_after: bool,
    body: String,
}

impl Response {
    /// Whether the challenges, of which a 401 and a 403 need some, say what is wrong.
    fn is_challenged_rightly(&self, kind: Kind) -> bool {
        let has = |text: &str| self.challenges.iter().any(|challenge| challenge.contains(text));
        match self.status {
            401 => has("error=\"invalid_token\"") || kind == Kind::Bound && has("error=\"invalid_dpop_proof\""),
            403 => has("error=\"insufficient_scope\"") && has("scope=\"read\""),
            _ => self.challenges.is_empty(),
        }
    }
}

pub(crate) struct World {
    seed: u64,
    random: Random,
    clock: TestClock,
    elapsed: Duration,
    clock_sets: u64,
    stepped_back: Option<Duration>,
    /// The latest time that the clock has shown, in seconds since 1970.
    latest: u64,
    site: Arc<Mutex<Site>>,
    process: Arc<Mutex<Process>>,
    network: Network,
    router: Router,
    client: DpopClient,
    stranger: DpopClient,
    /// How many keys and tokens were made.
    minted: u64,
    tokens: VecDeque<Token>,
    used_proofs: VecDeque<(String, String)>,
    open: Vec<Open>,
    /// Kinds of faults that are still to come.
    faults: Vec<Fault>,
    history: VecDeque<String>,
    report: Report,
}

impl World {
    pub(crate) async fn new(seed: u64) -> Self {
        let mut site = Site::default();
        site.keys.push(PublishedKey::generate(0, Duration::ZERO));
        let clock = TestClock::at_unix(NOW);
        let client = || DpopClient::generate(SigningAlgorithm::EdDsa).with_clock(clock.clone());
        let mut world = Self {
            seed,
            random: Random::new(seed),
            elapsed: Duration::ZERO,
            clock_sets: 0,
            stepped_back: None,
            latest: NOW,
            site: Arc::new(Mutex::new(site)),
            process: Arc::default(),
            network: Network::new(&clock),
            router: Router::new(),
            client: client(),
            stranger: client(),
            minted: 1,
            tokens: VecDeque::new(),
            used_proofs: VecDeque::new(),
            open: Vec::new(),
            faults: Vec::new(),
            history: VecDeque::new(),
            report: Report::default(),
            clock,
        };
        world.start().await;
        world
    }

    pub(crate) fn take_report(&mut self) -> Report {
        std::mem::take(&mut self.report)
    }

    /// A few simulated seconds.
    pub(crate) async fn step(&mut self) {
        self.happen().await;
        for _ in 0..2 {
            let token = self.mint();
            self.tokens.push_back(token);
        }
        if self.tokens.len() > TOKENS {
            let gone: Vec<_> = self.tokens.drain(..self.tokens.len() - TOKENS).collect();
            gone.iter().for_each(|token| self.deactivate(&token.text));
        }
        for _ in 0..REQUESTS {
            self.send();
        }
        settle().await;
        self.collect().await;
        let most = if self.random.once_in(8) { LONGEST_STEP } else { Duration::from_secs(3) };
        let half_seconds = self.random.between(1, 2 * most.as_secs());
        self.pass(Duration::from_millis(500 * half_seconds)).await;
        settle().await;
        self.collect().await;
        self.network.forget_seen();
    }

    /// Lets time pass. What passes at once ends every time limit, also of a call whose reply comes earlier: so the seconds that
    /// replies take pass one by one.
    async fn pass(&mut self, time: Duration) {
        let mut rest = time;
        for _ in 0..SLOW_REPLIES {
            let second = rest.min(Duration::from_secs(1));
            self.advance(second);
            settle().await;
            rest -= second;
        }
        self.advance(rest);
    }

    fn advance(&mut self, time: Duration) {
        self.elapsed += time;
        self.report.simulated += time;
        lock(&self.site).elapsed = self.elapsed;
        self.clock.advance(time);
    }

    fn unix(&self) -> u64 {
        self.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
    }

    fn note(&mut self, event: &'static str, detail: &str) {
        self.report.event(event);
        let line = format!("{:>9.1} s, clock {}: {event}{detail}", self.elapsed.as_secs_f64(), self.unix());
        self.history.push_back(line);
        if self.history.len() > HISTORY {
            self.history.pop_front();
        }
    }

    /// A process of the service starts.
    async fn start(&mut self) {
        let process = Arc::new(Mutex::new(Process { started: self.elapsed, ..Process::default() }));
        self.network = site::network(&self.site, &process, &self.clock);
        let client = ClientAuthentication::client_secret_basic("api", "a secret of the API");
        let server = ResourceServer::builder()
            .audience(AUDIENCE)
            .clock(self.clock.clone())
            .fetch(self.network.clone())
            .leeway(Duration::from_secs(LEEWAY))
            .issuer(Issuer::discovered(ISSUER))
            .issuer(Issuer::introspected(OPAQUE_ISSUER, Introspection::at(INTROSPECTION_URL, client)))
            .verifier(Social(self.network.clone()))
            .dpop(Dpop::new().public_url(URL))
            .build()
            .await
            .expect("good settings");
        let subject = |token: AccessToken| async move { token.subject().unwrap_or_default().to_owned() };
        self.router = Router::new()
            .route("/read", get(subject).layer(RequireScope::new("read")))
            .route("/any", get(subject))
            .layer(Authenticate::new(server));
        self.process = process;
        self.used_proofs.clear();
    }

    fn any_token(&mut self, is_wanted: impl Fn(&Token) -> bool) -> Option<&mut Token> {
        let start = self.random.next() as usize;
        let count = self.tokens.len();
        let found = (0..count).map(|number| start.wrapping_add(number) % count);
        let found = found.into_iter().find(|index| is_wanted(&self.tokens[*index]))?;
        self.tokens.get_mut(found)
    }

    fn moment(&self) -> Moment {
        let (site, process) = (lock(&self.site), lock(&self.process));
        Moment {
            elapsed: self.elapsed,
            clock: self.unix(),
            held: process.held.clone(),
            keys_healthy: site.healthy(METADATA_URL).min(site.healthy(JWKS_URL)),
            introspection_healthy: site.healthy(INTROSPECTION_URL),
            social_healthy: site.healthy(SOCIAL_URL),
            is_repeated: self.stepped_back.is_some() && self.unix() <= self.latest + PROOF_AGE,
            uptime: self.elapsed - process.started,
        }
    }

    /// Judges the responses that have come.
    async fn collect(&mut self) {
        let end = self.moment();
        for mut open in std::mem::take(&mut self.open) {
            let is_late = end.elapsed - open.start.elapsed > PATIENCE;
            // A step may be longer than that, and what follows from it takes its turns.
            for _ in 0..TURNS {
                if !is_late || open.response.is_finished() {
                    break;
                }
                settle().await;
            }
            if !open.response.is_finished() {
                if is_late {
                    open.response.abort();
                    // This clock's timers go by the time that it shows, and end late where it is set back. The system's do not.
                    if open.clock_sets == self.clock_sets {
                        self.wrong(&open, &end, "no response in a minute");
                    }
                } else {
                    self.open.push(open);
                }
                continue;
            }
            match (&mut open.response).await {
                Ok(Ok(response)) => self.judge(&open, &end, &response),
                Ok(Err(fault)) => self.wrong(&open, &end, &fault),
                Err(panic) => self.wrong(&open, &end, &format!("the service panicked: {panic}")),
            }
        }
        let fetches = lock(&self.process).fetches.clone();
        if let [.., first, _, third] = *fetches
            && third - first < COOL_DOWN
            && self.stepped_back.is_none_or(|at| at + COOL_DOWN < first)
            // The key set is asked for when the metadata has come, which may have waited for a long step.
            && lock(&self.site).healthy(METADATA_URL) > LONGEST_STEP + COOL_DOWN
        {
            lock(&self.process).fetches.clear();
            let history = self.history();
            let seed = self.seed;
            self.report
                .is_wrong(|| format!("seed {seed}: three fetches of keys within a cool-down: {fetches:?}\n{history}"));
        }
        let mut process = lock(&self.process);
        let old = process.fetches.len().saturating_sub(3);
        process.fetches.drain(..old);
    }

    fn judge(&mut self, open: &Open, end: &Moment, response: &Response) {
        let status = response.status;
        if status == 200 {
            self.used_proofs.extend(open.fresh_proof.clone());
            let old = self.used_proofs.len().saturating_sub(TOKENS);
            self.used_proofs.drain(..old);
        }
        self.report.decided(open.token.kind, open.flaw.map_or("", Flaw::name), status);
        let key_published = open.token.key_id.as_ref().and_then(|key_id| {
            let site = lock(&self.site);
            let key = site.keys.iter().find(|key| key.id == *key_id);
            key.map(|key| open.start.elapsed.saturating_sub(key.since))
        });
        let decision = Decision {
            token: &open.token,
            flaw: open.flaw,
            needs_scope: open.needs_scope,
            start: &open.start,
            end,
            clock_was_set: open.clock_sets != self.clock_sets,
            key_published,
        };
        let right = decision.right();
        let fault = if !right.is(status) {
            format!("{status} where {right:?} is right")
        } else if status == 200 && response.body != open.token.subject {
            format!("the handler was told of {:?}", response.body)
        } else if !response.is_challenged_rightly(open.token.kind) {
            format!("{status} with the challenges {:?}", response.challenges)
        } else if response.has_retry_after != (status == 503) {
            format!("{status} with or without Retry-After")
        } else {
            return;
        };
        self.wrong(open, end, &fault);
    }

    fn wrong(&mut self, open: &Open, end: &Moment, what: &str) {
        let (seed, history) = (self.seed, self.history());
        let Open { token, flaw, needs_scope, start, .. } = open;
        self.report.is_wrong(|| {
            format!("seed {seed}: {what}\n{token:?}\nflaw {flaw:?}, needs scope {needs_scope}\nfrom {start:?}\nto {end:?}\n{history}")
        });
    }

    fn history(&self) -> String {
        self.history.iter().map(|line| format!("  {line}\n")).collect()
    }
}

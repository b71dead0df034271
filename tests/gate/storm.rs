//! Ten minutes of unknown key ids, during which the issuer rotates its key.

use std::{
    pin::Pin,
    sync::{Arc, LazyLock, Mutex},
    task::{Context, Waker},
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use scopegate_axum::Issuer;
use scopegate_core::clock::Clock as _;
use scopegate_testing::{Mint, SigningAlgorithm, SigningKey, SigningKeys};
use scopegate_tests::{
    AUDIENCE, Answer, Api, Ask, ISSUER, JWKS_URL, METADATA_URL, Network, Reply, clock, resource_server, settle,
};
use serde_json::json;
use tokio::task::JoinHandle;
use tower::ServiceExt as _;

const COOL_DOWN: Duration = Duration::from_secs(30);
/// The duration of the storm, in cool-downs.
const COOL_DOWNS: u32 = 20;
/// How many requests with an unknown key id come at once.
const AT_ONCE: usize = 64;
/// How often they come.
const WAVES: u32 = 160;
/// The number of valid requests among them, each time.
const GOOD: usize = 8;
/// The issuer's response time.
const ANSWER: Duration = Duration::from_secs(1);
/// The wave with which the new key is published beside the old one.
const PUBLISHED: u32 = 50;
/// The wave with which the old key is withdrawn.
const WITHDRAWN: u32 = 110;

static OLD: LazyLock<SigningKeys> = LazyLock::new(|| key("old"));
static NEW: LazyLock<SigningKeys> = LazyLock::new(|| key("new"));

fn key(key_id: &str) -> SigningKeys {
    SigningKey::generate(SigningAlgorithm::Es256).with_key_id(key_id).into()
}

/// What the issuer publishes, and what it has delivered.
#[derive(Debug)]
struct Published {
    keys: SigningKeys,
    handed_over: Vec<SigningKeys>,
}

fn holds(keys: Option<&SigningKeys>, key_id: &str) -> bool {
    keys.is_some_and(|keys| keys.get(key_id).is_some())
}

#[tokio::test]
async fn storm_of_unknown_key_ids_costs_one_fetch_per_cool_down() {
    let clock = clock();
    let network = Network::new(&clock);
    let published = Arc::new(Mutex::new(Published { keys: OLD.clone(), handed_over: Vec::new() }));
    let answering = Arc::clone(&published);
    let hand_over = move || {
        let mut published = answering.lock().expect("not poisoned");
        let keys = published.keys.clone();
        published.handed_over.push(keys.clone());
        Reply::ok(keys.jwks_json())
    };
    network.put(METADATA_URL, Reply::ok(json!({ "issuer": ISSUER, "jwks_uri": JWKS_URL }).to_string()));
    network.put(JWKS_URL, Reply::After(ANSWER, Box::new(Reply::With(Arc::new(hand_over)))));
    let trusted = Issuer::discovered(ISSUER);
    let gate = resource_server().clock(clock.clone()).issuer(trusted).fetch(network.clone()).build().await;
    let api = Api::behind(gate.expect("good settings"));

    let start = clock.now();
    let since = |time: SystemTime| time.duration_since(start).expect("it stands or goes forward");
    let mint = |keys: &SigningKeys| {
        Mint::new(ISSUER, keys.clone()).with_audience(AUDIENCE).with_clock(clock.clone()).token().issue()
    };
    let spawn = |token: String| -> JoinHandle<Answer> {
        let router = api.router.clone();
        tokio::spawn(async move { Ask::get("/me").bearer(token).of(&router).await })
    };
    let last = || published.lock().expect("not poisoned").handed_over.last().cloned();

    let (mut good, mut junk, mut hung_up, mut passed) = (0, 0, 0, 0);
    let (mut first_new, mut first_refused_old) = (None, None);
    let mut handed_over_before_withdrawal = 0;
    for wave in 0..WAVES {
        if wave == PUBLISHED {
            published.lock().expect("not poisoned").keys = OLD.followed_by(&NEW);
        }
        if wave == WITHDRAWN {
            let mut published = published.lock().expect("not poisoned");
            published.keys = NEW.clone();
            handed_over_before_withdrawal = published.handed_over.len();
        }
        let (old, new) = (mint(&OLD), mint(&NEW));
        let mut asked_junk = Vec::new();
        for number in 0..AT_ONCE {
            let header = json!({ "alg": "ES256", "typ": "at+jwt", "kid": format!("junk-{wave}-{number}") });
            let rest = old.split_once('.').expect("a header").1;
            let token = format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()));
            junk += 1;
            if number % 3 == 0 {
                // The client hangs up as soon as its request has begun.
                let mut request = Box::pin(api.router.clone().oneshot(Ask::get("/me").bearer(token).request()));
                let _ = Pin::new(&mut request).poll(&mut Context::from_waker(Waker::noop()));
                hung_up += 1;
            } else {
                asked_junk.push(spawn(token));
            }
        }
        let loaded = last();
        let asked_good: Vec<_> = (0..GOOD)
            .map(|number| if number % 2 == 1 && wave >= PUBLISHED { "new" } else { "old" })
            .map(|key_id| (key_id, spawn(if key_id == "old" { old.clone() } else { new.clone() })))
            .collect();
        good += GOOD;
        settle().await;
        let asked_at = clock.now();
        for (key_id, answer) in &asked_good {
            if holds(loaded.as_ref(), key_id) {
                assert!(answer.is_finished(), "wave {wave}: a token of the {key_id} key waits");
            }
        }
        // A response under way arrives within this step.
        clock.advance(ANSWER);
        settle().await;
        for answer in asked_junk {
            let answer = answer.await.expect("no panic");
            answer.assert_401_token();
        }
        for (key_id, answer) in asked_good {
            let answer = answer.await.expect("no panic");
            passed += usize::from(answer.status == 200);
            let (had_key, has_key) = (holds(loaded.as_ref(), key_id), holds(last().as_ref(), key_id));
            match (had_key, has_key) {
                (true, _) => _ = answer.assert_pass(),
                (false, false) => _ = answer.assert_401_token(),
                // The key arrived meanwhile: requests that waited for it pass, earlier ones were refused.
                (false, true) => assert!(matches!(answer.status.as_u16(), 200 | 401), "{answer:?}"),
            }
            match (key_id, answer.status.as_u16()) {
                ("new", 200) => _ = first_new.get_or_insert(asked_at),
                ("old", 401) => _ = first_refused_old.get_or_insert(asked_at),
                _ => {}
            }
        }
        clock.advance(COOL_DOWN * COOL_DOWNS / WAVES - ANSWER);
        settle().await;
    }

    let times: Vec<Duration> =
        network.seen().iter().filter(|seen| seen.url == JWKS_URL).map(|seen| since(seen.at)).collect();
    let of_the_reserve = times.windows(2).filter(|pair| pair[1] - pair[0] < COOL_DOWN).count();
    let wave = |number: u32| COOL_DOWN * COOL_DOWNS / WAVES * number;
    let first_new = since(first_new.expect("the new key works")) - wave(PUBLISHED);
    let first_refused_old = since(first_refused_old.expect("the old key stops")) - wave(WITHDRAWN);
    println!(
        "{} requests in {:?}: {good} good, {junk} with invented key ids, of which {hung_up} hung up",
        good + junk,
        since(clock.now())
    );
    println!("{} fetches of the JWK Set, of which {of_the_reserve} from the reserve", times.len());
    println!("the new key works {first_new:?} after its publication");
    println!("the old key stops {first_refused_old:?} after its withdrawal");
    assert_eq!(since(clock.now()), COOL_DOWN * COOL_DOWNS);
    assert!(junk >= 10_000 && good >= 1_000 && hung_up >= junk / 3);
    // There is one rotation, and the reserve is for its new key. Tokens of the withdrawn key may not use it.
    assert!(times.len() <= COOL_DOWNS as usize + 1, "{times:?}");
    assert!(of_the_reserve <= 1, "{times:?}");
    let mut early = times.windows(2).filter(|pair| pair[1] - pair[0] < COOL_DOWN).map(|pair| pair[1]);
    assert!(early.all(|early| (wave(PUBLISHED)..wave(PUBLISHED) + COOL_DOWN).contains(&early)), "{times:?}");
    assert!(first_new <= COOL_DOWN);
    assert_eq!(api.calls(), passed, "the handler runs for good tokens, and for no others");
    // The first refresh after the withdrawal removes the old key.
    let published = published.lock().expect("not poisoned");
    let next = times[handed_over_before_withdrawal];
    assert!(published.handed_over[handed_over_before_withdrawal..].iter().all(|keys| !holds(Some(keys), "old")));
    assert!(first_refused_old + wave(WITHDRAWN) <= next + wave(1), "{next:?}");
    assert_eq!(network.count(METADATA_URL) + times.len(), network.seen().len(), "nobody else is asked");
}

//! The laws but for [`Law::Echo`].

use std::collections::BTreeSet;

use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use scopegate_spec::{Demand, Request};
use scopegate_spec_compare::{
    dialect::Dialect,
    outcome::Outcome,
    request::{Draft, NOW},
    text::Members,
    world::{CLIENT, ISSUERS, Published},
};

use super::{Case, Holds, Judge, Law, Server, Violation, echo};
use crate::setup::{SIGNER, Setup};

/// What came of a law with each request of a case; empty where a configuration that it needs is refused by the builder.
pub(super) type Checked = Result<Vec<Holds>, Box<Violation>>;

impl Law {
    /// Whether it holds for every request of a case.
    pub(super) fn check(self, server: &dyn Server, case: &Case) -> Checked {
        match self {
            Self::Stricter => stricter(server, case),
            Self::Time => time(server, case),
            Self::Remembered => remembered(server, case),
            Self::Order => order(server, case),
            Self::Scope => scope(server, case),
            Self::Unrelated => unrelated(server, case),
            Self::Echo => echo::check(server, case),
        }
    }
}

impl Case {
    pub(super) fn random(&self) -> StdRng {
        StdRng::seed_from_u64(self.seed)
    }

    /// The requests and their times.
    fn requests(&self) -> &[(Request, i64)] {
        self.sent.get_or_init(|| self.plans.iter().map(|plan| plan.request(&self.setup.world)).collect())
    }
}

/// Decides about every request in two ways that have to be the same.
fn compare(
    law: Law,
    requests: &[(Request, i64)],
    one: &mut dyn Judge,
    other: &mut dyn Judge,
) -> Result<Vec<Outcome>, Box<Violation>> {
    let decide = |(request, now): &(Request, i64)| {
        let (outcome, again) = (one.decide(request, *now), other.decide(request, *now));
        if outcome == again { Ok(outcome) } else { Err(Violation::new(law, request, *now, [&outcome, &again])) }
    };
    requests.iter().map(decide).collect()
}

fn stricter(server: &dyn Server, case: &Case) -> Checked {
    // That bound tokens are accepted is no requirement, so both servers do.
    let mut setup = case.setup.clone();
    setup.certificates = true;
    let mut stricter = setup.clone();
    let world = &mut stricter.world;
    match case.random().gen_range(0..7) {
        0 => {
            let more = Demand::Scope("book:2:write".to_owned());
            world.demand = Some(match world.demand.take() {
                Some(demand) => Demand::All(vec![demand, more]),
                None => more,
            });
        }
        1 => world.optional = false,
        2 => stricter.require_binding = true,
        3 => world.max_token_age = Some(world.max_token_age.map_or(5, |age| age.min(5))),
        4 => world.leeway = 0,
        5 => world.max_token_length = world.max_token_length.min(400),
        _ => world.issuers.iter_mut().for_each(|issuer| {
            issuer.waive_audience &= issuer.authorized_parties;
            issuer.authorized_parties = true;
        }),
    }
    let (Some(mut lax), Some(mut strict)) = (server.serve(&setup), server.serve(&stricter)) else {
        return Ok(Vec::new());
    };
    let check = |(request, now): &(Request, i64)| {
        let (before, after) = (lax.decide(request, *now), strict.decide(request, *now));
        if before.status != 200 && after.status == 200 {
            return Err(Violation::new(Law::Stricter, request, *now, [&before, &after]));
        }
        Ok(Holds::told_by(before.status != 200))
    };
    case.requests().iter().map(check).collect()
}

/// When a request is sent, in seconds after [`NOW`]: before and after the edges of the times that tokens have.
const TIMES: [i64; 24] = [
    -4000, -700, -661, -360, -301, -71, -70, -61, -11, -10, -1, 0, 1, 49, 50, 60, 299, 300, 359, 360, 361, 600, 661,
    4000,
];

fn time(server: &dyn Server, case: &Case) -> Checked {
    let check = |request: &Request| {
        let mut judge = server.serve(&case.setup)?;
        // Not yet, while, no longer.
        let (mut was_early, mut was_accepted, mut was_late) = (false, false, false);
        for offset in TIMES {
            let outcome = judge.decide(request, NOW + offset);
            match (outcome.status == 200, was_late) {
                (true, true) => {
                    return Some(Err(Violation::new(Law::Time, request, NOW + offset, [&"late", &outcome])));
                }
                (true, false) => was_accepted = true,
                (false, _) if was_accepted => was_late = true,
                (false, _) => was_early = true,
            }
        }
        Some(Ok(Holds::told_by(was_accepted && (was_early || was_late))))
    };
    case.requests().iter().filter_map(|(request, _)| check(request)).collect()
}

fn remembered(server: &dyn Server, case: &Case) -> Checked {
    let Some(mut warm) = server.serve(&case.setup) else { return Ok(Vec::new()) };
    let cold = Setup { remembers: false, ..case.setup.clone() };
    let mut holds = Vec::new();
    let mut accepted = BTreeSet::new();
    let plans = case.plans.iter().map(|plan| plan.visits.first().map_or(0, |visit| visit.seconds));
    for ((request, now), again) in case.requests().iter().zip(plans) {
        for (now, setup) in [(*now, &case.setup), (now + again, &cold), (*now, &case.setup), (*now, &cold)] {
            let Some(mut fresh) = server.serve(setup) else { return Ok(holds) };
            let (remembered, afresh) = (warm.decide(request, now), fresh.decide(request, now));
            if remembered != afresh {
                return Err(Violation::new(Law::Remembered, request, now, [&remembered, &afresh]));
            }
            holds.push(Holds::told_by(accepted.contains(&request.headers)));
            if remembered.status == 200 {
                accepted.insert(request.headers.clone());
            }
        }
    }
    Ok(holds)
}

fn order(server: &dyn Server, case: &Case) -> Checked {
    let mut random = case.random();
    let mut setup = case.setup.clone();
    setup.reverse_issuers = true;
    setup.world.issuers.iter_mut().for_each(|issuer| issuer.published.shuffle(&mut random));
    let (Some(mut one), Some(mut other)) = (server.serve(&case.setup), server.serve(&setup)) else {
        return Ok(Vec::new());
    };
    let is_other_order =
        case.setup.world.issuers.iter().any(|issuer| issuer.published.len() > 1) || case.setup.world.issuers.len() > 1;
    let mut holds = Vec::new();
    for (plan, (request, now)) in case.plans.iter().zip(case.requests()) {
        let mut draft = plan.draft(&case.setup.world);
        let mut shuffled = if is_edited_by_place(&draft) {
            request.clone()
        } else {
            draft.claims.shuffle(&mut random);
            draft.header.shuffle(&mut random);
            draft.request(&case.setup.world)
        };
        let is_other_token = request.headers != shuffled.headers;
        shuffle_lines(&mut shuffled, &mut random);
        let (before, after) = (one.decide(request, *now), other.decide(&shuffled, *now));
        if before != after {
            return Err(Violation::new(Law::Order, &shuffled, *now, [&before, &after]));
        }
        holds.push(Holds::told_by(is_other_token || is_other_order));
    }
    Ok(holds)
}

/// Whether the text of the token or its signature is changed, which is another change where the text is another, and signatures
/// are anew each time.
fn is_edited_by_place(draft: &Draft) -> bool {
    !draft.token.is_empty() || !draft.signature.is_empty()
}

/// Lines of other names come from anywhere; those of the same name keep their order.
fn shuffle_lines(request: &mut Request, random: &mut StdRng) {
    for name in ["user-agent", "accept"] {
        request.headers.push((name.to_owned(), b"x".to_vec()));
    }
    let mut names: Vec<String> = request.headers.iter().map(|(name, _)| name.clone()).collect();
    names.shuffle(random);
    let mut lines = std::mem::take(&mut request.headers);
    for name in names {
        let place = lines.iter().position(|(known, _)| *known == name).expect("each name is there once for each line");
        request.headers.push(lines.remove(place));
    }
}

fn scope(server: &dyn Server, case: &Case) -> Checked {
    let mut setup = case.setup.clone();
    // So that more scopes do not make a token too long.
    setup.world.max_token_length = 16 * 1024;
    let Some(mut judge) = server.serve(&setup) else { return Ok(Vec::new()) };
    let mut holds = Vec::new();
    for (plan, (request, now)) in case.plans.iter().zip(case.requests()) {
        let mut draft = plan.draft(&setup.world);
        let before = judge.decide(request, *now);
        if before.status != 403 || is_edited_by_place(&draft) || draft.payload.is_some() {
            holds.push(Holds::Vacuously);
            continue;
        }
        let named: BTreeSet<&String> = before.challenges.iter().flat_map(|challenge| &challenge.scope).collect();
        let named: Vec<&str> = named.into_iter().map(String::as_str).collect();
        grant(&mut draft, &setup, &named);
        let granted = draft.request(&setup.world);
        let after = judge.decide(&granted, *now);
        if after.status != 200 {
            return Err(Violation::new(Law::Scope, &granted, *now, [&before, &after]));
        }
        holds.push(Holds::Telling);
    }
    Ok(holds)
}

/// Writes these scopes where the token's issuer has them, and nowhere else.
fn grant(draft: &mut Draft, setup: &Setup, scopes: &[&str]) {
    let iss =
        draft.claims.iter().find(|(name, _)| name == "iss").map(|(_, value)| serde_json::from_str::<String>(value));
    let iss = iss.and_then(Result::ok).expect("a token that lacks nothing but a scope names its issuer");
    let issuer = ISSUERS.iter().zip(&setup.world.issuers).find(|(name, _)| **name == iss);
    let dialect = issuer.expect("a token that lacks nothing but a scope is of an issuer that is trusted").1.dialect;
    let has_scopes = |name: &str| matches!(name, "scope" | "scp" | "realm_access");
    draft.claims.retain(|(name, _)| !has_scopes(name));
    let mut written = Members::new();
    dialect.write(&mut written, CLIENT, scopes);
    draft.claims.extend(written.into_iter().filter(|(name, _)| has_scopes(name)));
}

/// A key of nobody, which RFC 8037 has as an example.
const OF_NOBODY: &str = "\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"";

fn unrelated(server: &dyn Server, case: &Case) -> Checked {
    let mut setup = case.setup.clone();
    let mut random = case.random();
    match random.gen_range(0..3) {
        0 => setup.unrelated = Some(setup.world.issuers[0].dialect),
        1 => setup.unrelated = Dialect::ALL.choose(&mut random).copied(),
        _ => {
            // With the first usable key a set becomes one (KEY-14).
            if server.serve(&Setup { world: case.setup.world.with_given_keys(), ..case.setup.clone() }).is_none() {
                return Ok(Vec::new());
            }
            let key = Published { key: SIGNER, kid: Some("unrelated"), alg: None, edit: Some(("x", OF_NOBODY, false)) };
            for issuer in &mut setup.world.issuers {
                let place = random.gen_range(0..=issuer.published.len());
                issuer.published.insert(place, key.clone());
            }
        }
    }
    let (Some(mut one), Some(mut other)) = (server.serve(&case.setup), server.serve(&setup)) else {
        return Ok(Vec::new());
    };
    let outcomes = compare(Law::Unrelated, case.requests(), one.as_mut(), other.as_mut())?;
    // What was refused for its form would be by anybody.
    Ok(outcomes.into_iter().map(|outcome| Holds::told_by(matches!(outcome.status, 200 | 403))).collect())
}

//! Random configurations and requests, as strategies of proptest: what fails is made smaller by it.
//!
//! Left out is what the documents leave open, and what `spec/README.md` marks as *avoid*.

mod choice;
mod evidence;
mod replies;

use proptest::{
    collection::vec,
    prelude::{Just, Strategy, any},
    sample::select,
    strategy::BoxedStrategy,
};
use scopegate_spec::Demand;

use self::{
    choice::{maybe, one_of, rarely, weighted},
    evidence::{evidence, proofs},
    replies::{asked, reply},
};
use crate::{
    compare::Case,
    dialect::Dialect,
    keys,
    mutation::{Form, LineEdit, Mutation, SignatureEdit, TokenEdit},
    request::{Place, Plan, Visit},
    values::{
        ALGORITHM_NAMES, CLAIM_VALUES, CLAIMS, HEADER_VALUES, HEADERS, KEY_EDITS, PATHS, PAYLOADS, SCOPES, TYPES,
        WHOLE_TOKENS, is_open,
    },
    world::{ALGORITHMS, Published, Route, Scopes, Source, TOKEN_HEADER, Trusted, World},
};

/// The greatest numbers of tokens in a case, and of other requests with each.
const TOKENS: usize = 20;
const VISITS: usize = 28;
/// The greatest number of further routes.
const ROUTES: usize = 15;

/// Cases.
pub fn case() -> BoxedStrategy<Case> {
    (world(), vec(route(), 0..=ROUTES), vec(plan(), 1..=TOKENS), rarely(24))
        .prop_map(|(world, routes, mut plans, fresh)| {
            plans.iter_mut().for_each(|plan| plan.visits.truncate(visits(plan, &world)));
            Case { world, routes, plans, fresh }
        })
        .boxed()
}

/// How many other requests there may be with a token. The specification checks the signatures of the token and of the proof anew for
/// each request, and reads the key of the proof; what that takes differs a hundredfold.
fn visits(plan: &Plan, world: &World) -> usize {
    let issuer = &world.issuers[plan.issuer % world.issuers.len()];
    let signer = issuer.published[plan.key % issuer.published.len()].key;
    let holder = plan.key_binding.filter(|_| world.proofs.is_some());
    let affordable = |key: usize| match keys::key(key).algorithms {
        ["Ed25519", ..] => VISITS,
        ["ES256", ..] => 5,
        ["ES384", ..] => 2,
        _ if holder.is_some() => 1,
        _ => 8,
    };
    holder.into_iter().chain([signer]).map(affordable).min().unwrap_or(VISITS)
}

fn route() -> impl Strategy<Value = Route> {
    (maybe(0.8, demand()), any::<bool>(), rarely(4)).prop_map(|(demand, scope_hint, optional)| {
        // In optional mode the layer that refuses for a missing scope knows it and names it, hint or not.
        Route { demand, scope_hint: scope_hint || optional, optional }
    })
}

fn world() -> impl Strategy<Value = World> {
    let limits = (
        weighted(vec![(3, 60), (1, 0), (1, 300)]),
        maybe(0.2, select(vec![1, 10, 60, 3600])),
        one_of![6 => Just(16 * 1024_usize), 1 => 300_usize..900],
        rarely(4),
    );
    let bindings = (maybe(0.3, proofs()), rarely(4), rarely(3));
    (vec(trusted(), 1..=2), route(), limits, bindings).prop_map(|(mut issuers, route, limits, bindings)| {
        // Opaque tokens are told apart by their prefixes, which one issuer at most does without.
        if let [Trusted { asked: Some(one), .. }, Trusted { asked: Some(_), .. }] = &mut issuers[..] {
            one.has_prefix = true;
        }
        let Route { demand, scope_hint, optional } = route;
        let (leeway, max_token_age, max_token_length, token_header) = limits;
        let (proofs, certificates, require_binding) = bindings;
        World {
            issuers,
            demand,
            scope_hint,
            optional,
            leeway,
            max_token_age,
            max_token_length,
            token_header,
            proofs,
            certificates,
            require_binding,
        }
    })
}

fn demand() -> impl Strategy<Value = Demand> {
    let one = select(SCOPES).prop_map(|name| Demand::Scope(name.to_owned()));
    one.prop_recursive(2, 6, 3, |inner| {
        one_of![
            1 => vec(inner.clone(), 1..=3).prop_map(Demand::All),
            1 => vec(inner, 1..=3).prop_map(Demand::Any),
        ]
    })
}

fn trusted() -> impl Strategy<Value = Trusted> {
    let tokens = (
        one_of![2 => Just(Dialect::Rfc9068), 3 => select(&Dialect::ALL[..])],
        one_of![4 => Just(0_usize), 1 => 0..ALGORITHMS.len()],
        select(&[Scopes::Exact, Scopes::Implied, Scopes::GenAuth][..]),
    );
    let weakened = (rarely(6), any::<bool>(), rarely(3), any::<bool>());
    let source =
        weighted(vec![(16, Source::Given), (8, Source::Fetched), (1, Source::Unavailable), (6, Source::Supplied)]);
    let keys = (vec(published(), 1..=3), vec(published(), 1..=3));
    let asked = maybe(0.25, asked());
    (tokens, weakened, asked, source, keys).prop_map(|(tokens, weakened, asked, source, (published, later))| {
        let (dialect, algorithms, grammar) = tokens;
        let (several_algorithms_per_key, own_audiences, authorized_parties, waive_audience) = weakened;
        Trusted {
            dialect,
            algorithms,
            several_algorithms_per_key,
            own_audiences,
            authorized_parties,
            waive_audience,
            grammar,
            asked,
            source,
            published,
            later,
        }
    })
}

/// Keys of the pool, the cheap ones most often.
fn pooled() -> impl Strategy<Value = usize> {
    weighted(vec![(64, 2), (64, 3), (10, 0), (10, 1), (4, 4), (1, 5), (1, 6)])
}

fn published() -> impl Strategy<Value = Published> {
    let kid = select(vec![Some("k1"), Some("k2"), None]);
    let alg = one_of![6 => select(vec![Alg::None, Alg::Own]), 1 => select(ALGORITHM_NAMES).prop_map(Alg::Other)];
    (pooled(), kid, alg, maybe(0.15, select(KEY_EDITS))).prop_map(|(key, kid, alg, edit)| {
        let alg = match alg {
            Alg::None => None,
            Alg::Own => keys::key(key).algorithms.first().copied(),
            Alg::Other(name) => Some(name),
        };
        Published { key, kid, alg, edit }
    })
}

#[derive(Clone, Copy, Debug)]
enum Alg {
    None,
    Own,
    Other(&'static str),
}

fn plan() -> impl Strategy<Value = Plan> {
    // Slots that may be empty, and not a count that is drawn first: each is emptied by itself to make a case smaller.
    let mutations = vec(maybe(0.6, mutation()), 0..=3).prop_map(|slots| slots.into_iter().flatten().collect());
    let signed = (0..2_usize, 0..3_usize, 0..3_usize, any::<bool>());
    let bound = (maybe(0.7, pooled()), rarely(2));
    let asked = (any::<bool>(), reply());
    (signed, vec(select(SCOPES), 0..5), mutations, bound, evidence(), asked, vec(visit(), 0..=VISITS)).prop_map(
        |(signed, scopes, mutations, bound, evidence, (opaque, reply), visits)| {
            let ((issuer, key, algorithm, names_key), (key_binding, certificate_binding)) = (signed, bound);
            Plan {
                issuer,
                key,
                algorithm,
                names_key,
                key_binding,
                certificate_binding,
                scopes,
                mutations,
                evidence,
                opaque,
                reply,
                visits,
            }
        },
    )
}

fn visit() -> impl Strategy<Value = Visit> {
    let seconds = one_of![3 => Just(0_i64), 2 => offset()];
    (0..=ROUTES, seconds, maybe(0.15, line()), maybe(0.8, evidence()), maybe(0.3, reply())).prop_map(
        |(route, seconds, line, evidence, reply)| {
            let lines = line.into_iter().collect();
            Visit { route, seconds, lines, evidence, reply }
        },
    )
}

fn mutation() -> BoxedStrategy<Mutation> {
    one_of![
        3 => line().prop_map(Mutation::Line),
        3 => token().prop_map(Mutation::Token),
        2 => signature().prop_map(Mutation::Signature),
        2 => header(),
        3 => select(CLAIM_VALUES).prop_map(|(name, value)| Mutation::Claim(name, value)),
        3 => typed_claim().prop_map(|(name, value)| Mutation::Claim(name, value)),
        1 => select(vec!["\"https://A.example\"", "\"https://a.example/\""]).prop_map(|value| Mutation::Claim("iss", value)),
        1 => select(vec!["\"JWT\"", "\"at+jwt\""]).prop_map(|value| Mutation::Header("typ", value)),
        1 => select(vec!["client_id", "azp"]).prop_map(|name| Mutation::Claim(name, "\"other\"")),
        1 => select(vec!["scope", "scp"]).prop_map(|name| Mutation::Claim(name, "[\"message read\"]")),
        2 => Just(Mutation::NoClaim("cnf")),
        2 => select(CLAIMS).prop_map(Mutation::NoClaim),
        1 => typed_claim().prop_map(|(name, value)| Mutation::ClaimTwice(name, value)),
        4 => time(),
        1 => select(PAYLOADS).prop_map(Mutation::Payload),
        1 => (0..1000_u16).prop_map(Mutation::Long),
        1 => pooled().prop_map(Mutation::Key),
        1 => select(ALGORITHM_NAMES).prop_map(Mutation::Algorithm),
        1 => offset().prop_map(Mutation::Later),
    ]
    .boxed()
}

fn typed_claim() -> impl Strategy<Value = (&'static str, &'static str)> {
    (select(CLAIMS), select(TYPES))
        .prop_map(|(name, value)| if is_open(name, value) { ("x", value) } else { (name, value) })
}

fn header() -> impl Strategy<Value = Mutation> {
    one_of![
        4 => select(HEADER_VALUES).prop_map(|(name, value)| Mutation::Header(name, value)),
        2 => (select(HEADERS), select(TYPES)).prop_map(|(name, value)| Mutation::Header(name, value)),
        1 => select(HEADERS).prop_map(Mutation::NoHeader),
        1 => (select(HEADERS), select(TYPES)).prop_map(|(name, value)| Mutation::HeaderTwice(name, value)),
    ]
}

/// Around the edges of a leeway of 0, 60 and 300 seconds, and of the ages.
fn offset() -> impl Strategy<Value = i64> {
    let edges = vec![0, 1, 10, 59, 60, 61, 70, 120, 299, 300, 301, 310, 359, 360, 361, 599, 600, 601, 3600, 3660, 3900];
    (select(edges), -1..=1_i64, any::<bool>()).prop_map(
        |(edge, beside, is_before)| {
            if is_before { -edge + beside } else { edge + beside }
        },
    )
}

fn time() -> impl Strategy<Value = Mutation> {
    let form = weighted(vec![(6, Form::Integer), (2, Form::Half), (1, Form::Exponent), (1, Form::Text)]);
    (select(vec!["exp", "nbf", "iat", "auth_time"]), offset(), form)
        .prop_map(|(name, offset, form)| Mutation::Time(name, offset, form))
}

fn signature() -> impl Strategy<Value = SignatureEdit> {
    one_of![
        3 => any::<u16>().prop_map(SignatureEdit::Flip),
        1 => (0..64_u16).prop_map(SignatureEdit::Truncate),
        1 => any::<u8>().prop_map(SignatureEdit::Append),
        1 => Just(SignatureEdit::Clear),
        1 => Just(SignatureEdit::SwapHalves),
    ]
}

fn token() -> impl Strategy<Value = TokenEdit> {
    let character = || select("=+/~.-_A9%,;\"\\!".chars().collect::<Vec<_>>());
    one_of![
        3 => (any::<u16>(), character()).prop_map(|(place, with)| TokenEdit::Replace(place, with)),
        3 => (any::<u16>(), character()).prop_map(|(place, with)| TokenEdit::Insert(place, with)),
        1 => any::<u16>().prop_map(TokenEdit::Truncate),
        1 => (0..3_usize).prop_map(TokenEdit::WithoutPart),
        1 => (0..3_usize).prop_map(TokenEdit::PartTwice),
        2 => (0..3_usize).prop_map(TokenEdit::LooseBits),
        3 => select(WHOLE_TOKENS).prop_map(TokenEdit::Whole),
    ]
}

fn line() -> impl Strategy<Value = LineEdit> {
    let schemes =
        vec!["dpop", "Bearer", "bearer", "BEARER", "bEaReR", "Basic", "DPoP", "Bearerx", "", "Bearer,", "\u{e9}"];
    let extra = vec![
        ("authorization", None),
        ("authorization", Some("Basic eDp5")),
        ("authorization", Some("Bearer x")),
        ("authorization", Some("DPoP x")),
        ("authorization", Some("")),
        (TOKEN_HEADER, None),
        (TOKEN_HEADER, Some("x")),
        ("proxy-authorization", Some("Bearer x")),
        ("cookie", Some("access_token=x")),
        ("dpop", Some("x")),
    ];
    let queries = vec![
        "access_token=x",
        "access_token",
        "a=1&access%5Ftoken=",
        "ACCESS_TOKEN=x",
        "access_tokens=x",
        "a=access_token",
        "access+token=x",
        "a;access_token=x",
        "",
        "&access_token=x",
    ];
    one_of![
        3 => select(schemes).prop_map(LineEdit::Scheme),
        2 => select(vec!["", "  ", "\t", " \t", ",", "=", " ,"]).prop_map(LineEdit::Separator),
        2 => select(vec!["=", "==", " x", ",", ", Basic eDp5", "\u{e9}", "\t", "=x"]).prop_map(LineEdit::Suffix),
        1 => Just(LineEdit::Place(Place::Nowhere)),
        2 => Just(LineEdit::Place(Place::NamedHeader)),
        2 => select(extra).prop_map(|(name, value)| LineEdit::Extra(name, value)),
        2 => select(queries).prop_map(LineEdit::Query),
        1 => select(vec!["POST", "HEAD", "get"]).prop_map(LineEdit::Method),
        1 => select(PATHS).prop_map(LineEdit::Path),
    ]
}

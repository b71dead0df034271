//! [`Law::Echo`]: texts that a requester chooses, wherever one can, and none of them comes back.

use http::Response;
use rand::{Rng as _, distributions::Alphanumeric, rngs::StdRng, seq::SliceRandom as _};
use scopegate_spec::Request;
use scopegate_spec_compare::{
    request::Draft,
    text::{quoted, set},
    values::{CLAIMS, HEADERS},
};

use super::{Case, Holds, Law, Server, Violation, checks::Checked};
use crate::setup::Proofs;

/// Field lines that an application, a proxy or a log may read.
const LINES: [&str; 12] = [
    "accept",
    "cookie",
    "dpop",
    "forwarded",
    "host",
    "origin",
    "referer",
    "traceparent",
    "user-agent",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-request-id",
];

pub(super) fn check(server: &dyn Server, case: &Case) -> Checked {
    let mut random = case.random();
    let mut setup = case.setup.clone();
    setup.dpop = random.gen_bool(0.5).then(|| Proofs { nonces: random.gen_bool(0.5), accept_repeated: false });
    let Some(mut judge) = server.serve(&setup) else { return Ok(Vec::new()) };
    let mut holds = Vec::new();
    for plan in &case.plans {
        let mut marks = Marks { random: &mut random, all: Vec::new() };
        let mut draft = plan.draft(&setup.world);
        marks.put_into_token(&mut draft);
        let mut request = draft.request(&setup.world);
        marks.put_into_request(&mut request);
        let response = judge.respond(&request, draft.now);
        if let Some(mark) = marks.all.iter().find(|mark| has(&response, mark)) {
            return Err(Violation::new(Law::Echo, &request, draft.now, [mark, &response]));
        }
        holds.push(Holds::told_by(response.status() != 200));
    }
    Ok(holds)
}

/// Texts that are like no other, and where they were put.
struct Marks<'a> {
    random: &'a mut StdRng,
    all: Vec<String>,
}

impl Marks<'_> {
    /// A new one. It is in lower case, since answers are searched in it.
    fn mark(&mut self) -> String {
        let mark: String = self.random.sample_iter(Alphanumeric).take(16).map(char::from).collect();
        let mark = format!("m{}", mark.to_ascii_lowercase());
        self.all.push(mark.clone());
        mark
    }

    /// Some claims, members of the header, and names of both. Many a request is still good but for its scopes.
    fn put_into_token(&mut self, draft: &mut Draft) {
        for name in ["jti", "sub", "x"] {
            set(&mut draft.claims, name, quoted(&self.mark()));
        }
        set(&mut draft.claims, &self.mark(), "1");
        set(&mut draft.header, &self.mark(), "1");
        if self.random.gen_bool(0.5) {
            let name = *CLAIMS.choose(self.random).expect("there are some");
            set(&mut draft.claims, name, quoted(&self.mark()));
        }
        if self.random.gen_bool(0.3) {
            let name = *HEADERS.choose(self.random).expect("there are some");
            set(&mut draft.header, name, quoted(&self.mark()));
        }
    }

    /// The method, the target and the field lines; now and then the credentials themselves.
    fn put_into_request(&mut self, request: &mut Request) {
        self.all.extend(request.headers.iter().filter_map(|(_, value)| end_of_token(value)));
        request.method = self.mark();
        request.uri = format!("/{}?{}={}", self.mark(), self.mark(), self.mark());
        if self.random.gen_bool(0.1) {
            request.uri += &format!("&access_token={}", self.mark());
        }
        for name in LINES {
            request.headers.push((name.to_owned(), self.mark().into_bytes()));
        }
        request.headers.push((format!("x-{}", self.mark()), self.mark().into_bytes()));
        if self.random.gen_bool(0.3) {
            let value = match self.random.gen_range(0..7) {
                0 => format!("Bearer {}", self.mark()),
                1 => format!("DPoP {}", self.mark()),
                2 => format!("{} {}", self.mark(), self.mark()),
                3 => self.mark(),
                4 => format!("Bearer {} {}", self.mark(), self.mark()),
                5 => format!("Bearer {}.{}.{}", self.mark(), self.mark(), self.mark()),
                _ => format!("Bearer \"{}\"", self.mark()),
            };
            request.headers.retain(|(name, _)| name != "authorization");
            request.headers.push(("authorization".to_owned(), value.into_bytes()));
        }
    }
}

/// The end of a token, which is a part of its signature.
fn end_of_token(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    let end = text.len().checked_sub(20).filter(|start| *start > 80 && text.is_char_boundary(*start))?;
    Some(text[end..].to_ascii_lowercase())
}

fn has(response: &Response<bytes::Bytes>, mark: &str) -> bool {
    let contains = |text: &[u8]| String::from_utf8_lossy(text).to_ascii_lowercase().contains(mark);
    let lines = response.headers().iter();
    contains(response.body())
        || lines.into_iter().any(|(name, value)| contains(name.as_ref()) || contains(value.as_bytes()))
}

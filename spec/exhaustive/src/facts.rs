//! Facts about a configuration and a request, as small enumerations, and products of them.

use scopegate_spec::{Answers, Request};
use scopegate_spec_compare::{
    mutation::Mutation,
    reply::ReplyPlan,
    request::{Evidence, Plan},
};

use crate::{introspection, proof, setup::Setup};

/// Makes a value true of a configuration and a request.
pub type Set = fn(&mut Facts);

/// A fact and its values. The first is that of a good request to an ordinary configuration.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    /// What it is about.
    pub name: &'static str,
    /// Its values.
    pub values: &'static [(&'static str, Set)],
}

/// Facts of which every combination is compared.
#[derive(Clone, Debug)]
pub struct Product {
    /// What they are about.
    pub name: &'static str,
    /// Whether it has one fact of the product of this name, and one of another product.
    pub is_pair: bool,
    /// What holds for all of them.
    pub base: Set,
    /// The facts of the configuration, which are set first: others may look at it.
    pub configuration: Vec<Axis>,
    /// Those of the request.
    pub request: Vec<Axis>,
}

/// A configuration and a request to it.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The configuration.
    pub setup: Setup,
    /// The request but for the following.
    pub plan: Plan,
    /// What is done to its DPoP proof, if it has one. Its nonce is a good one.
    pub proof: Option<fn(&mut proof::Draft)>,
    /// Whether the proof has the nonce that is good now.
    pub has_nonce: bool,
    /// The client's certificate, if there is one.
    pub certificate: Option<&'static [u8]>,
    /// Whether the token is text that is no JWT.
    pub is_opaque: bool,
    /// What the issuer that is asked answers.
    pub answer: introspection::Draft,
    /// How often the same request is sent.
    pub times: usize,
}

impl Default for Facts {
    fn default() -> Self {
        let plan = Plan {
            issuer: 0,
            key: 0,
            algorithm: 0,
            names_key: true,
            key_binding: None,
            certificate_binding: false,
            scopes: vec!["message", "read"],
            mutations: Vec::new(),
            evidence: Evidence::default(),
            opaque: false,
            reply: ReplyPlan::default(),
            visits: Vec::new(),
        };
        Self {
            setup: Setup::default(),
            plan,
            proof: None,
            has_nonce: true,
            certificate: None,
            is_opaque: false,
            answer: introspection::Draft::default(),
            times: 1,
        }
    }
}

impl Facts {
    /// Changes the request.
    pub fn change(&mut self, mutation: Mutation) {
        self.plan.mutations.push(mutation);
    }

    /// A claim has this value, as JSON.
    pub fn claim(&mut self, name: &'static str, value: &'static str) {
        self.change(Mutation::Claim(name, value));
    }

    /// The request with everything that belongs to it. `nonce` is one that is good now, `id` is like that of no other request.
    pub fn request(&self, nonce: Option<&str>, id: u64) -> (Request, i64) {
        let (mut request, now) = self.plan.request(&self.setup.world);
        if self.is_opaque {
            for (_, value) in request.headers.iter_mut().filter(|(name, _)| name == "authorization") {
                let end = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
                value.truncate(end);
                value.extend(format!(" opaque{id}").into_bytes());
            }
        }
        if let Some(change) = self.proof {
            let mut draft = proof::Draft::new(&token(&request), id);
            if let Some(nonce) = nonce.filter(|_| self.has_nonce) {
                draft.claim("nonce", format!("\"{nonce}\""));
            }
            change(&mut draft);
            let line = ("dpop".to_owned(), draft.text().into_bytes());
            request.headers.extend(std::iter::repeat_n(line, draft.lines));
        }
        request.certificate = self.certificate.map(<[u8]>::to_vec);
        (request, now)
    }

    /// What the issuer that is asked says about the token of a request.
    pub fn answers(&self, request: &Request) -> Answers {
        match self.setup.asked {
            Some(_) => Answers::from([(token(request), self.answer.answer())]),
            None => Answers::new(),
        }
    }
}

/// What stands behind the scheme, as far as that is clear.
fn token(request: &Request) -> String {
    let line = request.lines("authorization").first().copied().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    line.split_once(' ').map(|(_, token)| token.trim_matches(' ')).unwrap_or_default().to_owned()
}

impl Product {
    /// How many configurations it has.
    pub fn configurations(&self) -> usize {
        size(&self.configuration)
    }

    /// How many requests come to each.
    pub fn requests(&self) -> usize {
        size(&self.request)
    }

    /// How many combinations it has.
    pub fn size(&self) -> usize {
        self.configurations() * self.requests()
    }

    /// The facts of a configuration, and a good request to it.
    pub fn configured(&self, configuration: usize) -> Facts {
        let mut facts = Facts::default();
        (self.base)(&mut facts);
        choices(&self.configuration, configuration).for_each(|(_, (_, set))| set(&mut facts));
        facts
    }

    /// The facts of a request, where those of the configuration are set already.
    pub fn requested(&self, configured: &Facts, request: usize) -> Facts {
        let mut facts = configured.clone();
        choices(&self.request, request).for_each(|(_, (_, set))| set(&mut facts));
        facts
    }

    /// What is not ordinary about a combination.
    pub fn description(&self, configuration: usize, request: usize) -> Vec<String> {
        let all = choices(&self.configuration, configuration).chain(choices(&self.request, request));
        let odd = all.filter(|(axis, (value, _))| axis.values[0].0 != *value);
        odd.map(|(axis, (value, _))| format!("{}: {value}", axis.name)).collect()
    }
}

fn size(axes: &[Axis]) -> usize {
    axes.iter().map(|axis| axis.values.len()).product()
}

/// The values of a combination, which is a number whose digits are their places.
fn choices(axes: &[Axis], mut number: usize) -> impl Iterator<Item = (&Axis, &'static (&'static str, Set))> {
    axes.iter().map(move |axis| {
        let place = number % axis.values.len();
        number /= axis.values.len();
        (axis, &axis.values[place])
    })
}

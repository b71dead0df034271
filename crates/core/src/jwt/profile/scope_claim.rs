use std::borrow::Cow;

use crate::{
    jose::json::Value,
    refusal::{FailedCheck, Reason, failed_check::Actual},
    scope::Scope,
};

/// The claim that an issuer puts the scope in, and its shape.
///
/// ```
/// use scopegate_core::jwt::ScopeClaim;
///
/// ScopeClaim::string("scope");                    // RFC 9068: "openid email"
/// ScopeClaim::array("scp");                       // Okta: ["openid", "email"]
/// ScopeClaim::path(["realm_access", "roles"]);    // a nested claim, of either shape
/// ```
#[derive(Clone, Debug)]
pub struct ScopeClaim {
    /// The first of these places that a token has counts, and no other.
    pub(super) places: Vec<Place>,
}

#[derive(Clone, Debug)]
pub(super) struct Place {
    path: Vec<Cow<'static, str>>,
    shape: Shape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Array,
    String,
    Either,
    /// Either, and a value of another type counts as no scopes.
    Lenient,
}

/// The claims in which access tokens have their scope. A scope that is read from another claim is no sign of an access token,
/// since an issuer may write that claim into its ID tokens as well.
const SCOPES_OF_ACCESS_TOKENS: [&str; 3] = ["permissions", "scope", "scp"];

impl ScopeClaim {
    fn at(path: Vec<Cow<'static, str>>, shape: Shape) -> Self {
        Self { places: vec![Place { path, shape }] }
    }

    /// A claim that is one space-delimited string.
    pub fn string(name: impl Into<Cow<'static, str>>) -> Self {
        Self::at(vec![name.into()], Shape::String)
    }

    /// A claim that is an array of scopes, none of which is split.
    pub fn array(name: impl Into<Cow<'static, str>>) -> Self {
        Self::at(vec![name.into()], Shape::Array)
    }

    /// A claim that is a string or an array, as the issuer's configuration has it.
    pub fn string_or_array(name: impl Into<Cow<'static, str>>) -> Self {
        Self::at(vec![name.into()], Shape::Either)
    }

    /// A claim inside of others, of either shape. Where a step of the path is absent, or the value has another type, there are
    /// no scopes. With an empty path there are none either. Elements of an array with a space in them are skipped: such
    /// claims list roles more often than not, whose names may have spaces.
    pub fn path<N: Into<Cow<'static, str>>>(path: impl IntoIterator<Item = N>) -> Self {
        Self::at(path.into_iter().map(Into::into).collect(), Shape::Lenient)
    }

    /// The first of these claims that a token has, for an issuer whose configuration chooses the name. The others are
    /// ignored, even where the first is empty.
    pub fn first_of(claims: impl IntoIterator<Item = Self>) -> Self {
        Self { places: claims.into_iter().flat_map(|claim| claim.places).collect() }
    }

    /// No claim: the issuer grants no scopes.
    pub fn none() -> Self {
        Self { places: Vec::new() }
    }

    /// Whether a scope may tell an access token from other tokens.
    pub(super) fn distinguishes(&self) -> bool {
        self.places.iter().any(Place::distinguishes)
    }

    pub(super) fn roots(&self) -> impl Iterator<Item = &str> {
        self.places.iter().filter_map(Place::root)
    }

    pub(super) fn find<'v>(&self, claim: impl Fn(&str) -> Option<&'v Value<'v>>) -> Option<(&Place, &'v Value<'v>)> {
        // SCOPE-6: the first place that the token has, and no other.
        self.places.iter().find_map(|place| Some((place, place.find(&claim)?)))
    }

    /// The scope of a token (AT-6). An absent claim is an empty scope.
    pub(crate) fn read<'v>(&self, claim: impl Fn(&str) -> Option<&'v Value<'v>>) -> Result<Granted<'v>, FailedCheck> {
        self.find(claim).map_or(Ok(Granted::Nothing), |(place, value)| place.read(value))
    }

    /// The places at which a scope tells an access token from other tokens.
    pub(super) fn describe(&self) -> String {
        let places = self.places.iter().filter(|place| place.distinguishes());
        places.map(Place::describe).collect::<Vec<_>>().join(" or ")
    }
}

/// The scope as a token has it. It is parsed into a [`Scope`] once the signature is verified.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Granted<'v> {
    Nothing,
    /// Scopes with spaces between them.
    Text(&'v str),
    /// Each string without a space is one scope; other elements are none.
    Elements(&'v [Value<'v>]),
}

impl Granted<'_> {
    pub(crate) fn read(self) -> Scope {
        match self {
            Self::Nothing => Scope::default(),
            Self::Text(text) => Scope::parse(text),
            Self::Elements(elements) => {
                let texts = elements.iter().filter_map(|element| match element {
                    Value::String(text) if !text.contains(' ') => Some(&**text),
                    _ => None,
                });
                Scope::from_elements(texts).unwrap_or_default()
            }
        }
    }
}

impl Place {
    pub(super) fn root(&self) -> Option<&str> {
        self.path.first().map(|root| &**root)
    }

    /// Whether a scope at this place tells an access token from other tokens.
    pub(super) fn distinguishes(&self) -> bool {
        matches!(&*self.path, [name] if SCOPES_OF_ACCESS_TOKENS.contains(&&**name))
    }

    fn find<'v>(&self, claim: impl Fn(&str) -> Option<&'v Value<'v>>) -> Option<&'v Value<'v>> {
        let (root, steps) = self.path.split_first()?;
        steps.iter().try_fold(claim(root)?, |value, step| match value {
            Value::Object(members) => members.iter().find(|(name, _)| name == step).map(|(_, value)| value),
            _ => None,
        })
    }

    /// Whether there is a scope in a value of the claim.
    pub(super) fn has_scope<'v>(&self, value: &'v Value<'v>) -> bool {
        self.read(value).is_ok_and(|granted| !granted.read().is_empty())
    }

    fn read<'v>(&self, value: &'v Value<'v>) -> Result<Granted<'v>, FailedCheck> {
        match (value, self.shape) {
            (Value::String(text), Shape::String | Shape::Either | Shape::Lenient) => Ok(Granted::Text(text)),
            (Value::Array(elements), Shape::Lenient) => Ok(Granted::Elements(elements)),
            (Value::Array(elements), Shape::Array | Shape::Either) => {
                let fault = elements.iter().find_map(|element| match element {
                    Value::String(text) if !text.contains(' ') => None,
                    Value::String(_) => Some(("one scope in each element", "an element with a space")),
                    other => Some(("an array of strings", other.type_name())),
                });
                match fault {
                    None => Ok(Granted::Elements(elements)),
                    Some((expected, found)) => Err(self.mistyped(expected, found)),
                }
            }
            (_, Shape::Lenient) => Ok(Granted::Nothing),
            (other, Shape::String) => Err(self.mistyped("a string", other.type_name())),
            (other, Shape::Array) => Err(self.mistyped("an array", other.type_name())),
            (other, Shape::Either) => Err(self.mistyped("a string or an array", other.type_name())),
        }
    }

    fn describe(&self) -> String {
        format!("`{}`", self.path.join("."))
    }

    fn mistyped(&self, expected: &str, found: &'static str) -> FailedCheck {
        FailedCheck::new(
            Reason::MalformedClaim,
            "scope",
            format!("{expected} in {}", self.describe()),
            Actual::Fixed(found),
        )
    }
}

//! The claims of a token: as they are read before verification, the checks of them, and as a handler reads them.

pub(crate) mod checks;
mod unverified;

use std::{fmt, ops::Deref};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub(crate) use self::unverified::{ClaimNames, NumericDate, Texts, UnverifiedClaims, numeric_date};

/// All claims of a token as JSON, for handlers that name no type of their own.
///
/// Claims that were not checked are here as the issuer wrote them.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Claims(Map<String, Value>);

impl Claims {
    /// The claims as a JSON object.
    pub fn into_map(self) -> Map<String, Value> {
        self.0
    }
}

impl Deref for Claims {
    type Target = Map<String, Value>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// Names the claims and not their values, which are personal data more often than not.
impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

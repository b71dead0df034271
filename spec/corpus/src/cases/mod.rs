//! The cases, by subject.

mod certificate;
mod challenge;
mod claims;
mod dpop;
mod introspection;
mod jose;
mod keys;
mod kind;
mod scope;
mod time;
mod transport;

use crate::draft::Draft;

/// The groups of a subject.
type Groups = fn() -> Vec<Draft>;

/// The subjects, each with a file of its own.
pub const SUBJECTS: [(&str, Groups); 11] = [
    ("transport", transport::groups),
    ("challenge", challenge::groups),
    ("jose", jose::groups),
    ("keys", keys::groups),
    ("claims", claims::groups),
    ("kind", kind::groups),
    ("time", time::groups),
    ("scope", scope::groups),
    ("introspection", introspection::groups),
    ("dpop", dpop::groups),
    ("certificate", certificate::groups),
];

//! The endpoints of the playground, in front of an API that accepts every kind of token.

mod explain;
mod guard;
mod issuer;
mod log;
mod page;
mod rig;
mod state;
mod token;

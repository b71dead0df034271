//! A real MCP server, of the Rust SDK, behind `RequireMcpScopes`. Its counters say what ran.

mod claims;
mod hostile;
mod lists;
mod operations;
mod rig;
mod sessions;

//! Lists on their way to the client: what its token may not use is left out.

use std::{fmt, sync::Arc};

use http::Extensions;
use scopegate_core::Authentication;

use crate::{
    json::{Json, Unreadable},
    rules::{Policy, Rules},
};

/// Why a response of the inner server cannot be passed on.
#[derive(Debug)]
pub(crate) enum Fault {
    Encoded,
    Incomplete,
    Json(Unreadable),
    NotAList,
    TooLarge,
    UnknownType,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the response of the MCP server holds a list and cannot be filtered: ")?;
        match self {
            Self::Encoded => f.write_str("it is compressed; compress outside of this layer"),
            Self::Incomplete => f.write_str("it broke off"),
            Self::Json(error) => error.fmt(f),
            Self::NotAList => f.write_str("the list, or an item of it, is not what MCP says"),
            Self::TooLarge => f.write_str("it is larger than `max_message_size`"),
            Self::UnknownType => f.write_str("it is neither JSON nor an event stream"),
        }
    }
}

impl std::error::Error for Fault {}

/// Leaves out of lists what a caller may not use.
#[derive(Clone, Debug)]
pub(crate) struct ListFilter {
    policy: Arc<Policy>,
    max_size: usize,
    max_depth: usize,
    /// Those that the requirements are checked against: with the caller's `Authentication` alone.
    caller: Extensions,
}

impl ListFilter {
    pub(crate) fn new(policy: Arc<Policy>, max_size: usize, max_depth: usize, authentication: Authentication) -> Self {
        let mut caller = Extensions::new();
        caller.insert(authentication);
        Self { policy, max_size, max_depth, caller }
    }

    pub(crate) fn max_size(&self) -> usize {
        self.max_size
    }

    /// Writes a message, or a batch of them, anew without what the caller may not use.
    pub(crate) fn rewrite(&self, text: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        let mut json = crate::json::read(text, self.max_depth).map_err(Fault::Json)?;
        match &mut json {
            Json::Array(batch) => batch.iter_mut().try_for_each(|message| self.filter(message))?,
            message => self.filter(message)?,
        }
        json.write(out);
        Ok(())
    }

    /// A list is known by its shape, and not by the id of the request: a stream that is resumed repeats responses to requests
    /// that this layer has not seen.
    fn filter(&self, message: &mut Json<'_>) -> Result<(), Fault> {
        let Some(result) = message.get_mut("result") else { return Ok(()) };
        if !result.is_object() {
            return Err(Fault::NotAList);
        }
        let Policy { tools, prompts, resources, .. } = &*self.policy;
        let mut is_list = false;
        for (list, key, rules) in [
            ("tools", "name", tools),
            ("prompts", "name", prompts),
            ("resources", "uri", resources),
            ("resourceTemplates", "uriTemplate", resources),
        ] {
            if let Some(items) = result.get_mut(list) {
                self.retain(items, key, rules)?;
                is_list = true;
            }
        }
        // What is left is this caller's, and no cache between may give it to another. A list that may be kept for a time and does
        // not say for whom is anybody's (MCP 2026-07-28, "Caching").
        if is_list && let Json::Object(members) = result {
            let is_kept = members.iter().any(|(name, _)| name == "ttlMs" || name == "cacheScope");
            members.retain(|(name, _)| name != "cacheScope");
            if is_kept {
                members.push(("cacheScope".into(), Json::String("private".into())));
            }
        }
        Ok(())
    }

    fn retain(&self, items: &mut Json<'_>, key: &str, rules: &Rules) -> Result<(), Fault> {
        let Json::Array(items) = items else { return Err(Fault::NotAList) };
        if !items.iter().all(|item| item.get(key).and_then(Json::as_str).is_some()) {
            return Err(Fault::NotAList);
        }
        items.retain(|item| {
            // MCP-9: by the requirement that guards the call.
            let requirement = item.get(key).and_then(Json::as_str).and_then(|name| rules.to_list(name));
            requirement.is_some_and(|requirement| requirement.check(&self.caller).is_ok())
        });
        Ok(())
    }
}

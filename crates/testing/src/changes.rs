use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Changes to a default JSON object: members to set, and members to remove.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    members: BTreeMap<String, Option<Value>>,
}

impl Changes {
    pub(crate) fn set(&mut self, name: String, value: Value) {
        self.members.insert(name, Some(value));
    }

    pub(crate) fn leave_out(&mut self, name: String) {
        self.members.insert(name, None);
    }

    /// `object` with these changes.
    pub(crate) fn applied_to(&self, mut object: Map<String, Value>) -> Map<String, Value> {
        for (name, change) in &self.members {
            match change {
                Some(value) => object.insert(name.clone(), value.clone()),
                None => object.remove(name),
            };
        }
        object
    }
}

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

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

    /// Drops the change of a member: the default holds again.
    pub(crate) fn forget(&mut self, name: &str) {
        self.members.remove(name);
    }

    /// Sets a member of an object that is itself a member. What is set there and is no object is replaced.
    pub(crate) fn set_within(&mut self, name: &str, member: &str, value: Value) {
        match self.members.get_mut(name) {
            Some(Some(Value::Object(object))) => {
                object.insert(member.to_owned(), value);
            }
            _ => self.set(name.to_owned(), json!({ member: value })),
        }
    }

    /// The value that a member is set to.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.members.get(name)?.as_ref()
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

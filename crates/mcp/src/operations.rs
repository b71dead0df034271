use std::{fmt, sync::Arc};

use crate::message::{Message, RequestId};

/// The messages of a request, as they were judged: a request extension for the inner service and for layers that log or count.
///
/// Names come from the client, so they may hold anything: escape them in a log.
#[derive(Clone)]
pub struct Operations(Arc<[Operation]>);

/// One message: its method and what it asks for.
#[derive(Clone, PartialEq, Eq)]
pub struct Operation {
    method: Option<Box<str>>,
    id: Option<RequestId>,
    names: Box<[Box<str>]>,
}

impl Operations {
    pub(crate) fn of(messages: &[Message<'_>]) -> Self {
        Self(messages.iter().map(Operation::of).collect())
    }

    /// The messages, in the order of the batch. One that is not in a batch is alone.
    pub fn iter(&self) -> impl Iterator<Item = &Operation> {
        self.0.iter()
    }
}

impl Operation {
    fn of(message: &Message<'_>) -> Self {
        Self {
            method: message.method.map(Into::into),
            id: message.id.clone(),
            names: message.asks_for.names().iter().map(|name| (*name).into()).collect(),
        }
    }

    /// The method; `None` for a response to a request of the server.
    pub fn method(&self) -> Option<&str> {
        self.method.as_deref()
    }

    /// The id; `None` for a notification.
    pub fn id(&self) -> Option<&RequestId> {
        self.id.as_ref()
    }

    /// The name of the tool or prompt, or the URIs of the resources, that the message asks for.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }
}

impl fmt::Debug for Operations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operation")
            .field("method", &self.method)
            .field("id", &self.id)
            .field("names", &self.names)
            .finish()
    }
}

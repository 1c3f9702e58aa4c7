//! The watchers of one collection, found by what they are interested in, so that a write
//! costs nothing for those it does not concern.

use std::collections::HashMap;
use std::sync::Arc;

use smol_str::SmolStr;

use crate::history::Event;
use crate::object::Stored;
use crate::subscription::{Interest, Queue};

/// Queues by one value.
type Index = HashMap<SmolStr, Vec<Arc<Queue>>>;

/// Who is to be told of a write, by what they are interested in.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    all: Vec<Arc<Queue>>,
    by_namespace: Index,
    by_name: Index,
    by_trigger: Index,
}

impl Watchers {
    fn index(&mut self, interest: &Interest) -> Option<(&mut Index, SmolStr)> {
        match interest {
            Interest::All => None,
            Interest::Namespace(namespace) => Some((&mut self.by_namespace, namespace.clone())),
            Interest::Name(name) => Some((&mut self.by_name, name.clone())),
            Interest::Trigger(value) => Some((&mut self.by_trigger, value.clone())),
        }
    }

    pub(crate) fn len(&self) -> usize {
        let indexes = [&self.by_namespace, &self.by_name, &self.by_trigger];
        let indexed = indexes.into_iter().flat_map(HashMap::values).map(Vec::len);
        self.all.len() + indexed.sum::<usize>()
    }

    pub(crate) fn add(&mut self, interest: &Interest, queue: Arc<Queue>) {
        match self.index(interest) {
            Some((index, value)) => index.entry(value).or_default().push(queue),
            None => self.all.push(queue),
        }
    }

    pub(crate) fn remove(&mut self, interest: &Interest, queue: &Arc<Queue>) {
        let Some((index, value)) = self.index(interest) else {
            self.all.retain(|other| !Arc::ptr_eq(other, queue));
            return;
        };
        let Some(queues) = index.get_mut(&value) else {
            return;
        };
        queues.retain(|other| !Arc::ptr_eq(other, queue));
        if queues.is_empty() {
            index.remove(&value);
        }
    }

    pub(crate) fn notify(&self, event: &Arc<Event>, trigger: Option<&'static str>) {
        let key = event.object.key();
        let push = |queues: Option<&Vec<Arc<Queue>>>| {
            queues.into_iter().flatten().for_each(|queue| queue.push(event))
        };
        push(Some(&self.all));
        push(self.by_namespace.get(&key.namespace));
        push(self.by_name.get(&key.name));
        if self.by_trigger.is_empty() {
            return;
        }
        let value = |object: &Stored| trigger.and_then(|field| object.field(field).map(SmolStr::from));
        let (now, before) = (value(&event.object), event.previous.as_deref().and_then(value));
        push(now.as_ref().and_then(|value| self.by_trigger.get(value)));
        if before != now {
            push(before.as_ref().and_then(|value| self.by_trigger.get(value)));
        }
    }
}

//! The fake cluster's store, and its answers.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use serde_json::{Map, Value, json};

use super::{api_error, patch};
use crate::api_error::{ApiError, ApiErrorKind};
use crate::bindings::controller::windlass::controller::manifest::WatchTarget;
use crate::bindings::controller::windlass::controller::types;
use crate::client::{Call, DeleteOptions, PropagationPolicy, Verb};
use crate::manifest::Manifest;
use crate::object::ObjectKey;
use crate::recorder::Event;
use crate::services::{Item, Mapping};
use crate::time::Timestamp;

thread_local! {
    static CURRENT: RefCell<Option<Rc<RefCell<State>>>> = const { RefCell::new(None) };
}

/// Makes this the thread's cluster.
pub(super) fn install(state: Rc<RefCell<State>>) {
    CURRENT.set(Some(state));
}

/// What the native host module asks.
pub(crate) fn with_state<R>(ask: impl FnOnce(&mut State) -> R) -> R {
    let state = CURRENT
        .with_borrow(Clone::clone)
        .expect("a native test makes a testing::Cluster first");
    ask(&mut state.borrow_mut())
}

/// Which calls fail, and how.
type Failure = Box<dyn Fn(&str) -> Option<ApiError>>;

/// Whether the objects of a kind live in namespaces; nothing for kinds that are not served.
type Scope = Box<dyn Fn(&str) -> Option<bool>>;

/// Everything the cluster knows.
pub(crate) struct State {
    manifest: Manifest,
    objects: BTreeMap<(String, ObjectKey), Value>,
    counter: u64,
    pub(crate) now: Timestamp,
    pub(crate) config: Vec<u8>,
    pub(crate) events: Vec<Event>,
    pub(crate) queued: Vec<Item>,
    pub(crate) calls: Vec<(String, Value)>,
    pub(crate) failure: Failure,
    pub(crate) scope: Scope,
    /// Names of declared metrics.
    metrics: Vec<String>,
    series: BTreeMap<(u32, Vec<String>), f64>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("objects", &self.objects)
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

impl State {
    pub(super) fn new(manifest: Manifest) -> Self {
        Self {
            manifest,
            objects: BTreeMap::new(),
            counter: 0,
            now: Timestamp::from_seconds(1_767_225_600),
            config: b"{}".to_vec(),
            events: Vec::new(),
            queued: Vec::new(),
            calls: Vec::new(),
            failure: Box::new(|_| None),
            scope: Box::new(|_| Some(true)),
            metrics: Vec::new(),
            series: BTreeMap::new(),
        }
    }

    /// Names a metric by its place, however often it is declared.
    pub(crate) fn declare(&mut self, name: &str) -> u32 {
        let place = self.metrics.iter().position(|known| known == name);
        let place = place.unwrap_or_else(|| {
            self.metrics.push(name.to_owned());
            self.metrics.len() - 1
        });
        u32::try_from(place).unwrap_or(u32::MAX)
    }

    pub(crate) fn series(&mut self, metric: u32, labels: &[String]) -> &mut f64 {
        self.series.entry((metric, labels.to_vec())).or_default()
    }

    /// What a series has come to; nothing of one that was never given a value.
    pub(super) fn metric(&self, name: &str, labels: &[&str]) -> Option<f64> {
        let place = self.metrics.iter().position(|known| known == name)?;
        let labels = labels.iter().map(|&label| label.to_owned()).collect();
        self.series.get(&(u32::try_from(place).ok()?, labels)).copied()
    }

    pub(crate) fn next_number(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    pub(super) fn find(&self, plural: &str, key: &ObjectKey) -> Option<&Value> {
        self.objects.get(&(plural.to_owned(), key.clone()))
    }

    pub(super) fn remove(&mut self, plural: &str, key: &ObjectKey) {
        self.objects.remove(&(plural.to_owned(), key.clone()));
    }

    pub(super) fn collection<'a>(
        &'a self,
        plural: &'a str,
    ) -> impl Iterator<Item = (&'a ObjectKey, &'a Value)> {
        self.objects
            .iter()
            .filter(move |((known, _), _)| known == plural)
            .map(|((_, key), object)| (key, object))
    }

    pub(super) fn put(&mut self, mut object: Value) -> Value {
        let plural = plural_of(&object);
        let number = self.next_number();
        let now = self.now;
        let Some(meta) = object["metadata"].as_object_mut() else {
            unreachable!("an object has metadata")
        };
        if text_of(meta, "name").is_empty() {
            meta.insert(
                "name".to_owned(),
                format!("{}{number}", text_of(meta, "generateName")).into(),
            );
        }
        meta.entry("uid")
            .or_insert_with(|| format!("uid-{number}").into());
        meta.entry("creationTimestamp")
            .or_insert_with(|| now.to_string().into());
        meta.entry("generation").or_insert_with(|| 1.into());
        meta.insert("resourceVersion".to_owned(), number.to_string().into());
        let key = ObjectKey::new(text_of(meta, "namespace"), text_of(meta, "name"));
        self.objects.insert((plural, key), object.clone());
        object
    }

    /// What a watch covers, whole: a view may hold more than asked for.
    pub(crate) fn watched(&self, watch: u32) -> Vec<(ObjectKey, Vec<u8>)> {
        self.watched_objects(watch)
            .map(|(key, object)| (key.clone(), object.to_string().into_bytes()))
            .collect()
    }

    pub(crate) fn selected(&self, watch: u32, selector: &str) -> Result<Vec<(ObjectKey, Vec<u8>)>, String> {
        let terms = parse_selector(selector)?;
        let matches = |object: &Value| {
            terms
                .iter()
                .all(|(name, value)| object["metadata"]["labels"][name] == *value)
        };
        let selected = self.watched_objects(watch).filter(|(_, object)| matches(object));
        Ok(selected
            .map(|(key, object)| (key.clone(), object.to_string().into_bytes()))
            .collect())
    }

    pub(crate) fn indexed(&self, watch: u32, index: &str, value: &str) -> Result<Vec<Vec<u8>>, String> {
        let spec = self
            .manifest
            .0
            .watches
            .get(watch as usize)
            .and_then(|watch| watch.indexes.iter().find(|spec| spec.name == index));
        let path = spec
            .map(|spec| format!("/{}", spec.path.replace('.', "/")))
            .ok_or_else(|| format!("no index {index}"))?;
        let found = self
            .watched_objects(watch)
            .filter(|(_, object)| object.pointer(&path).is_some_and(|found| found == value));
        Ok(found.map(|(_, object)| object.to_string().into_bytes()).collect())
    }

    pub(crate) fn controlled(
        &self,
        watch: u32,
        wanted: impl Fn(&ObjectKey, Option<&str>) -> bool,
    ) -> Vec<Vec<u8>> {
        let owner = |object: &Value| -> Option<String> {
            let owners = object["metadata"]["ownerReferences"].as_array()?;
            Some(text(&owners.iter().find(|owner| owner["controller"] == true)?["uid"]).to_owned())
        };
        let found = self
            .watched_objects(watch)
            .filter(|(key, object)| wanted(key, owner(object).as_deref()));
        found.map(|(_, object)| object.to_string().into_bytes()).collect()
    }

    pub(crate) fn resolve(&self, group: &str, version: &str, kind: &str) -> Option<Mapping> {
        let resource = types::ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            plural: format!("{}s", kind.to_lowercase()),
        };
        Some(Mapping {
            resource,
            namespaced: (self.scope)(kind)?,
        })
    }

    /// Answers one call, and remembers that it was made.
    pub(crate) fn answer(&mut self, call: &Call) -> Result<Vec<u8>, ApiError> {
        let (name, body) = describe(call);
        self.calls.push((name.clone(), body.clone()));
        if let Some(error) = (self.failure)(&name) {
            return Err(error);
        }
        let answer = match &call.verb {
            Verb::List(_) => {
                let objects = self.collection(call.resource.plural);
                let items: Vec<&Value> = objects
                    .filter(|(key, _)| key.namespace == call.key.namespace)
                    .map(|(_, object)| object)
                    .collect();
                json!({ "items": items })
            }
            Verb::Create(_) if call.subresource.is_empty() => self.create(call, body)?,
            Verb::Create(_) => json!({}),
            Verb::Get => self.existing(call)?,
            Verb::Update(_) => {
                let old = self.existing(call)?;
                self.replace(&old, body, call.subresource)?
            }
            Verb::Patch(patch_type, _) => {
                let old = self.existing(call)?;
                check_uid(&old, &body)?;
                let mut new = old.clone();
                if !patch::apply(&mut new, &body, *patch_type) {
                    let message = "the fake cluster takes merge and strategic merge patches only";
                    return Err(api_error(ApiErrorKind::UnsupportedMediaType, message));
                }
                self.replace(&old, new, call.subresource)?
            }
            Verb::Delete(options) => self.delete(call, options)?,
        };
        Ok(answer.to_string().into_bytes())
    }

    fn existing(&self, call: &Call) -> Result<Value, ApiError> {
        let missing = || {
            api_error(
                ApiErrorKind::NotFound,
                &format!("{} \"{}\" not found", call.resource.plural, call.key.name),
            )
        };
        self.find(call.resource.plural, &call.key)
            .cloned()
            .ok_or_else(missing)
    }

    fn create(&mut self, call: &Call, mut body: Value) -> Result<Value, ApiError> {
        body["metadata"]["namespace"] = call.key.namespace.clone().into();
        let key = ObjectKey::new(call.key.namespace.clone(), text(&body["metadata"]["name"]));
        if self.find(call.resource.plural, &key).is_some() {
            let message = format!("{} \"{}\" already exists", call.resource.plural, key.name);
            return Err(api_error(ApiErrorKind::AlreadyExists, &message));
        }
        Ok(self.put(body))
    }

    /// What the server keeps of a new body: the status of the old one, or with the
    /// status subresource everything but the status and the annotations.
    fn replace(&mut self, old: &Value, body: Value, subresource: &str) -> Result<Value, ApiError> {
        let version = &body["metadata"]["resourceVersion"];
        if !text(version).is_empty() && *version != old["metadata"]["resourceVersion"] {
            return Err(api_error(ApiErrorKind::Conflict, "the object has been modified"));
        }
        let mut new = if subresource == "status" {
            old.clone()
        } else {
            body.clone()
        };
        if subresource == "status" {
            copy_field(&mut new, &body, "status");
            copy_field(&mut new["metadata"], &body["metadata"], "annotations");
        } else {
            copy_field(&mut new, old, "status");
        }
        let annotations = |object: &Value| object["metadata"]["annotations"].clone();
        if new["spec"] != old["spec"]
            || (old["kind"] == "Deployment" && annotations(&new) != annotations(old))
        {
            new["metadata"]["generation"] = (old["metadata"]["generation"].as_i64().unwrap_or(0) + 1).into();
        }
        if new["metadata"]["deletionTimestamp"].is_string() && has_no_finalizers(&new) {
            let metadata = &new["metadata"];
            let key = ObjectKey::new(text(&metadata["namespace"]), text(&metadata["name"]));
            self.remove(&plural_of(&new), &key);
            return Ok(new);
        }
        Ok(if new == *old { new } else { self.put(new) })
    }

    fn delete(&mut self, call: &Call, options: &DeleteOptions) -> Result<Value, ApiError> {
        let mut object = self.existing(call)?;
        let metadata = &object["metadata"];
        let preconditions = &options.preconditions;
        let met =
            |wanted: &Option<String>, found: &Value| wanted.as_ref().is_none_or(|wanted| found == wanted);
        if !met(&preconditions.uid, &metadata["uid"])
            || !met(&preconditions.resource_version, &metadata["resourceVersion"])
        {
            return Err(api_error(ApiErrorKind::Conflict, "a precondition failed"));
        }
        let held = match options.propagation_policy {
            Some(PropagationPolicy::Foreground) => add_finalizer(&mut object, "foregroundDeletion"),
            Some(PropagationPolicy::Orphan) => add_finalizer(&mut object, "orphan"),
            _ => !has_no_finalizers(&object),
        };
        if held {
            object["metadata"]["deletionTimestamp"] = self.now.to_string().into();
            return Ok(self.put(object));
        }
        self.remove(call.resource.plural, &call.key);
        Ok(object)
    }

    fn watched_objects(&self, watch: u32) -> impl Iterator<Item = (&ObjectKey, &Value)> {
        let plural = match self
            .manifest
            .0
            .watches
            .get(watch as usize)
            .map(|watch| &watch.target)
        {
            Some(WatchTarget::One(resource)) => resource.plural.as_str(),
            _ => unreachable!("watch {watch} is not one the lister can read"),
        };
        self.collection(plural)
    }
}

/// A call as tests read it, and what it sends.
fn describe(call: &Call) -> (String, Value) {
    let parse = |body: &[u8]| serde_json::from_slice(body).expect("a body is JSON");
    let (verb, body) = match &call.verb {
        Verb::Get => ("get", Value::Null),
        Verb::List(_) => ("list", Value::Null),
        Verb::Create(body) => ("create", parse(body)),
        Verb::Update(body) => ("update", parse(body)),
        Verb::Patch(_, body) => ("patch", parse(body)),
        Verb::Delete(options) => ("delete", describe_options(options)),
    };
    let subresource = if call.subresource.is_empty() {
        String::new()
    } else {
        format!("/{}", call.subresource)
    };
    (
        format!("{verb} {}{subresource} {}", call.resource.plural, call.key),
        body,
    )
}

/// Options of a deletion as they travel; nothing if none is set.
fn describe_options(options: &DeleteOptions) -> Value {
    let mut fields = Map::new();
    if let Some(policy) = options.propagation_policy {
        let name = match policy {
            PropagationPolicy::Background => "Background",
            PropagationPolicy::Foreground => "Foreground",
            PropagationPolicy::Orphan => "Orphan",
        };
        fields.insert("propagationPolicy".to_owned(), name.into());
    }
    if let Some(seconds) = options.grace_period_seconds {
        fields.insert("gracePeriodSeconds".to_owned(), seconds.into());
    }
    let preconditions = &options.preconditions;
    let set: Map<String, Value> = [
        ("uid", &preconditions.uid),
        ("resourceVersion", &preconditions.resource_version),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), value.as_deref()?.into())))
    .collect();
    if !set.is_empty() {
        fields.insert("preconditions".to_owned(), set.into());
    }
    if fields.is_empty() {
        Value::Null
    } else {
        fields.into()
    }
}

fn plural_of(object: &Value) -> String {
    format!("{}s", text(&object["kind"]).to_lowercase())
}

fn has_no_finalizers(object: &Value) -> bool {
    object["metadata"]["finalizers"]
        .as_array()
        .is_none_or(Vec::is_empty)
}

/// Adds a finalizer; true, because it holds the object.
fn add_finalizer(object: &mut Value, finalizer: &str) -> bool {
    let finalizers = &mut object["metadata"]["finalizers"];
    if !finalizers.is_array() {
        *finalizers = json!([]);
    }
    if let Some(finalizers) = finalizers.as_array_mut() {
        finalizers.push(finalizer.into());
    }
    true
}

fn check_uid(object: &Value, patch: &Value) -> Result<(), ApiError> {
    match patch["metadata"].get("uid") {
        Some(uid) if *uid != object["metadata"]["uid"] => {
            Err(api_error(ApiErrorKind::Conflict, "the UID differs"))
        }
        _ => Ok(()),
    }
}

fn copy_field(to: &mut Value, from: &Value, name: &str) {
    match (from.get(name), to.as_object_mut()) {
        (Some(value), Some(to)) => drop(to.insert(name.to_owned(), value.clone())),
        (None, Some(to)) => drop(to.remove(name)),
        (_, None) => {}
    }
}

/// Terms of the form `name=value`.
fn parse_selector(selector: &str) -> Result<Vec<(&str, &str)>, String> {
    let terms = selector.split(',').filter(|term| !term.is_empty());
    terms
        .map(|term| {
            term.split_once('=')
                .ok_or_else(|| format!("the fake cluster does not know `{term}`"))
        })
        .collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn text_of<'a>(fields: &'a Map<String, Value>, name: &str) -> &'a str {
    fields.get(name).map_or("", text)
}

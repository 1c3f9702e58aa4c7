//! Where schemas come from: CustomResourceDefinitions, or an OpenAPI v3 document.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::error::TypegenError;
use crate::model::Resource;
use crate::names;

/// What was asked for, and all that it may refer to.
#[derive(Debug, Default)]
pub(crate) struct Source {
    pub(crate) roots: Vec<Root>,
    /// By the name in `#/components/schemas/`.
    pub(crate) definitions: BTreeMap<String, Value>,
}

/// A schema that a type is wanted of.
#[derive(Debug)]
pub(crate) struct Root {
    pub(crate) resource: Option<Resource>,
    pub(crate) schema: Schema,
}

#[derive(Debug)]
pub(crate) enum Schema {
    /// Of a definition, with the path to it.
    Own { schema: Value, path: String },
    /// One of the document's.
    Definition(String),
}

/// Reads the input, and picks versions and kinds.
pub(crate) fn read(input: &str, version: Option<&str>, kinds: &[String]) -> Result<Source, TypegenError> {
    let mut documents = Vec::new();
    for document in parse(input)? {
        flatten(document, &mut documents);
    }
    if let Some(document) = documents.iter().find(|document| schemas(document).is_some()) {
        return open_api(document, version, kinds);
    }
    let definitions: Vec<(usize, &Value)> = documents
        .iter()
        .enumerate()
        .filter(|(_, document)| is_definition(document))
        .collect();
    if definitions.is_empty() {
        return Err(nothing(&documents));
    }
    let is_alone = documents.len() == 1;
    let mut roots = Vec::new();
    for kind in kinds {
        if !definitions
            .iter()
            .any(|(_, definition)| kind_of(definition) == kind)
        {
            let known = definitions.iter().map(|(_, definition)| kind_of(definition));
            return Err(TypegenError::NoKind {
                kind: kind.clone(),
                known: known.collect::<Vec<_>>().join(", "),
            });
        }
    }
    for (position, definition) in definitions {
        if kinds.is_empty() || kinds.iter().any(|kind| kind == kind_of(definition)) {
            let path = if is_alone {
                String::new()
            } else {
                format!("document {}: ", position + 1)
            };
            roots.push(custom(definition, version, &path)?);
        }
    }
    Ok(Source {
        roots,
        definitions: BTreeMap::new(),
    })
}

fn parse(input: &str) -> Result<Vec<Value>, TypegenError> {
    if input.trim_start().starts_with('{') {
        if let Ok(value) = serde_json::from_str(input) {
            return Ok(vec![value]);
        }
    }
    serde_saphyr::from_multiple(input).map_err(|error| TypegenError::Syntax(error.to_string()))
}

/// Takes lists of objects apart.
fn flatten(document: Value, into: &mut Vec<Value>) {
    match document {
        Value::Object(mut object) if object.get("kind").is_some_and(|kind| kind == "List") => {
            if let Some(Value::Array(items)) = object.remove("items") {
                into.extend(items);
            }
        }
        Value::Null => {}
        document => into.push(document),
    }
}

fn nothing(documents: &[Value]) -> TypegenError {
    let kinds: Vec<&str> = documents.iter().map(|document| text(document, "kind")).collect();
    let old = documents.iter().any(|document| {
        text(document, "kind") == "CustomResourceDefinition" || document.get("swagger").is_some()
    });
    let found = match kinds.iter().filter(|kind| !kind.is_empty()).count() {
        _ if old => "; convert the older version of it first".to_owned(),
        0 => String::new(),
        _ => format!(", only {}", kinds.join(", ")),
    };
    TypegenError::Nothing { found }
}

// === CustomResourceDefinitions ===

fn is_definition(document: &Value) -> bool {
    text(document, "kind") == "CustomResourceDefinition"
        && text(document, "apiVersion") == "apiextensions.k8s.io/v1"
}

fn kind_of(definition: &Value) -> &str {
    definition
        .pointer("/spec/names/kind")
        .and_then(Value::as_str)
        .unwrap_or("")
}

fn custom(definition: &Value, version: Option<&str>, place: &str) -> Result<Root, TypegenError> {
    let needed = |pointer: &str| {
        let found = definition.pointer(pointer).and_then(Value::as_str);
        found.filter(|text| !text.is_empty()).ok_or_else(|| {
            let path = format!("{place}{}", pointer.trim_start_matches('/').replace('/', "."));
            TypegenError::schema(&path, "it is missing; a definition has it as a text")
        })
    };
    let kind = needed("/spec/names/kind")?;
    let no_versions = Vec::new();
    let versions = definition.pointer("/spec/versions").and_then(Value::as_array);
    let versions = versions.unwrap_or(&no_versions);
    let chosen = versions.iter().position(|candidate| match version {
        Some(version) => text(candidate, "name") == version,
        None => candidate.get("storage") == Some(&Value::Bool(true)),
    });
    let Some((position, chosen)) = chosen.and_then(|position| Some((position, versions.get(position)?)))
    else {
        return Err(no_version(kind, version, versions, place));
    };
    let path = format!("{place}spec.versions[{position}].schema.openAPIV3Schema");
    let schema = chosen.pointer("/schema/openAPIV3Schema").cloned();
    Ok(Root {
        resource: Some(Resource {
            group: needed("/spec/group")?.to_owned(),
            version: text(chosen, "name").to_owned(),
            kind: kind.to_owned(),
            plural: needed("/spec/names/plural")?.to_owned(),
            is_namespaced: needed("/spec/scope")? == "Namespaced",
        }),
        schema: Schema::Own {
            schema: schema.ok_or_else(|| {
                TypegenError::schema(&path, "it is missing; a version has a structural schema in v1")
            })?,
            path,
        },
    })
}

fn no_version(kind: &str, version: Option<&str>, versions: &[Value], place: &str) -> TypegenError {
    match version {
        Some(version) => TypegenError::NoVersion {
            kind: kind.to_owned(),
            version: version.to_owned(),
            known: versions
                .iter()
                .map(|version| text(version, "name"))
                .collect::<Vec<_>>()
                .join(", "),
        },
        None => TypegenError::schema(
            &format!("{place}spec.versions"),
            "no version has `storage: true`; choose one with --version",
        ),
    }
}

// === OpenAPI ===

fn schemas(document: &Value) -> Option<&Map<String, Value>> {
    document.pointer("/components/schemas")?.as_object()
}

/// A kind that a schema says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Gvk {
    group: String,
    version: String,
    kind: String,
}

fn gvks(schema: &Value) -> Vec<Gvk> {
    let entries = schema.get("x-kubernetes-group-version-kind");
    let entries = match entries {
        Some(Value::Array(entries)) => entries.as_slice(),
        Some(entry) => std::slice::from_ref(entry),
        None => &[],
    };
    let gvk = |entry| Gvk {
        group: text(entry, "group").to_owned(),
        version: text(entry, "version").to_owned(),
        kind: text(entry, "kind").to_owned(),
    };
    entries.iter().map(gvk).collect()
}

fn open_api(document: &Value, version: Option<&str>, kinds: &[String]) -> Result<Source, TypegenError> {
    let definitions: BTreeMap<String, Value> = schemas(document)
        .into_iter()
        .flatten()
        .map(|(name, schema)| (name.clone(), schema.clone()))
        .collect();
    let served = served(document);
    let names = if kinds.is_empty() {
        all(&definitions, version)?
    } else {
        let picked = kinds.iter().map(|kind| pick(&definitions, kind, version));
        picked.collect::<Result<_, _>>()?
    };
    let roots = names.into_iter().map(|name| Root {
        resource: definitions
            .get(&name)
            .and_then(|schema| resource(schema, version, &served)),
        schema: Schema::Definition(name),
    });
    Ok(Source {
        roots: roots.collect(),
        definitions,
    })
}

/// Every kind with metadata of its own, in this version if one is wanted; every schema,
/// where there are no kinds.
fn all(definitions: &BTreeMap<String, Value>, version: Option<&str>) -> Result<Vec<String>, TypegenError> {
    let kinds = definitions.iter().filter(|(_, schema)| is_object(schema));
    let kinds: Vec<(&String, &Value)> = kinds.collect();
    if kinds.is_empty() && version.is_none() {
        return Ok(definitions.keys().cloned().collect());
    }
    let of_version = |schema: &Value| {
        let mut gvks = gvks(schema).into_iter();
        gvks.any(|gvk| version.is_none_or(|version| gvk.version == version))
    };
    let wanted = kinds.iter().filter(|(_, schema)| of_version(schema));
    let wanted: Vec<String> = wanted.map(|(name, _)| (*name).clone()).collect();
    match version {
        Some(version) if wanted.is_empty() => {
            let schemas = kinds.iter().map(|(_, schema)| *schema);
            Err(not_of_version("any kind", version, schemas))
        }
        _ => Ok(wanted),
    }
}

/// Of none of these schemas is there this version.
fn not_of_version<'a>(
    kind: &str,
    version: &str,
    schemas: impl IntoIterator<Item = &'a Value>,
) -> TypegenError {
    let known = schemas.into_iter().flat_map(gvks).map(|gvk| gvk.version);
    let known: BTreeSet<String> = known.collect();
    TypegenError::NoVersion {
        kind: kind.to_owned(),
        version: version.to_owned(),
        known: known.into_iter().collect::<Vec<_>>().join(", "),
    }
}

/// Whether it is of objects that have a name, and not of a list of some.
fn is_object(schema: &Value) -> bool {
    let metadata = schema.pointer("/properties/metadata").map(Value::to_string);
    metadata.is_some_and(|metadata| !metadata.contains("ListMeta")) && !gvks(schema).is_empty()
}

fn pick(
    definitions: &BTreeMap<String, Value>,
    kind: &str,
    version: Option<&str>,
) -> Result<String, TypegenError> {
    let is_of_version = |gvk: &Gvk| version.is_none_or(|version| gvk.version == version);
    if let Some(schema) = definitions.get(kind) {
        let gvks = gvks(schema);
        return match version {
            Some(version) if !gvks.is_empty() && !gvks.iter().any(is_of_version) => {
                Err(not_of_version(kind, version, [schema]))
            }
            _ => Ok(kind.to_owned()),
        };
    }
    let fits = |gvk: &Gvk| gvk.kind == kind && is_of_version(gvk);
    let of_kind = definitions
        .iter()
        .filter(|(_, schema)| gvks(schema).iter().any(fits));
    let mut found: Vec<&String> = of_kind.map(|(name, _)| name).collect();
    if found.is_empty() {
        let is_of_kind = |schema: &&Value| gvks(schema).iter().any(|gvk| gvk.kind == kind);
        let others: Vec<&Value> = definitions.values().filter(is_of_kind).collect();
        if let (Some(version), false) = (version, others.is_empty()) {
            return Err(not_of_version(kind, version, others));
        }
        let of_name = definitions.keys().filter(|name| short(name) == kind);
        found = of_name.collect();
    }
    match found.as_slice() {
        [name] => Ok((*name).clone()),
        [] => Err(TypegenError::NoKind {
            kind: kind.to_owned(),
            known: all(definitions, None)?
                .iter()
                .map(|name| short(name))
                .collect::<Vec<_>>()
                .join(", "),
        }),
        several => Err(TypegenError::Ambiguous {
            kind: kind.to_owned(),
            found: several
                .iter()
                .map(|name| name.as_str())
                .collect::<Vec<_>>()
                .join(" and "),
        }),
    }
}

/// The last part of a schema's name.
pub(crate) fn short(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// The collections that the document's paths lead to, and whether they are in namespaces.
fn served(document: &Value) -> Vec<(Gvk, String, bool)> {
    let mut served = Vec::new();
    let paths = document.get("paths").and_then(Value::as_object);
    for (path, item) in paths.into_iter().flatten() {
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        let Some(plural) = segments.last().filter(|last| !last.starts_with('{')) else {
            continue;
        };
        // `…/deployments/{name}/status` and `/apis/apps/v1/watch/deployments` are others.
        let is_collection = !segments.contains(&"{name}") && !segments.contains(&"watch");
        let is_namespaced = segments.contains(&"{namespace}");
        for operation in item.as_object().into_iter().flat_map(Map::values) {
            if text(operation, "x-kubernetes-action") == "post" && is_collection {
                let found = gvks(operation).into_iter();
                served.extend(found.map(|gvk| (gvk, (*plural).to_owned(), is_namespaced)));
            }
        }
    }
    served
}

/// Where objects of a schema are served; none if that is no kind, or several.
fn resource(schema: &Value, version: Option<&str>, served: &[(Gvk, String, bool)]) -> Option<Resource> {
    if !is_object(schema) {
        return None;
    }
    let mut gvks = gvks(schema);
    gvks.retain(|gvk| version.is_none_or(|version| gvk.version == version));
    let [gvk] = gvks.as_slice() else { return None };
    let found = served.iter().find(|(served, _, _)| served == gvk);
    Some(Resource {
        group: gvk.group.clone(),
        version: gvk.version.clone(),
        kind: gvk.kind.clone(),
        plural: found.map_or_else(|| plural(&gvk.kind), |(_, plural, _)| plural.clone()),
        is_namespaced: found.is_none_or(|(_, _, is_namespaced)| *is_namespaced),
    })
}

/// The plural as English has it, for a document without paths: `gateways`, where
/// Kubernetes' own guess would be `gatewaies`.
fn plural(kind: &str) -> String {
    let kind = kind.to_ascii_lowercase();
    if kind.ends_with("endpoints") {
        kind
    } else if let Some(stem) = kind
        .strip_suffix('y')
        .filter(|stem| !stem.ends_with(['a', 'e', 'o', 'u']))
    {
        format!("{stem}ies")
    } else if kind.ends_with('s') || kind.ends_with('x') || kind.ends_with("ch") {
        format!("{kind}es")
    } else {
        format!("{kind}s")
    }
}

/// The names to try for the type of a definition.
pub(crate) fn type_names(definition: &str) -> Vec<String> {
    let segments: Vec<&str> = definition.split('.').collect();
    let long = segments.get(segments.len().saturating_sub(3)..).unwrap_or(&[]);
    vec![
        names::type_name(short(definition)),
        names::type_name(&long.join(".")),
    ]
}

pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or("")
}

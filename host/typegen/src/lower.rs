//! From schemas to the model.
//!
//! Objects inside of objects become records named by their path (`WebAppSpecPortsItem`),
//! schemas of a document records of their own name. What is not understood is any JSON.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::Language;
use crate::error::TypegenError;
use crate::model::{Declared, Field, Model, Record, Resource, SdkType, Shape, Type};
use crate::names::{self, Names};
use crate::source::{self, Root, Schema, Source, text};

const REFERENCES: &str = "#/components/schemas/";

/// Makes the model of a source, with the SDK's types where the language's has them.
pub(crate) fn lower(source: &Source, language: Language) -> Result<Model, TypegenError> {
    let mut lowering = Lowering {
        source,
        language,
        names: Names::without(reserved(language).iter().copied()),
        model: Model::default(),
        references: BTreeMap::new(),
        resources: BTreeMap::new(),
        pending: BTreeSet::new(),
    };
    for root in &source.roots {
        if let (Schema::Definition(name), Some(resource)) = (&root.schema, &root.resource) {
            lowering.resources.insert(name.clone(), resource.clone());
        }
    }
    for root in &source.roots {
        lowering.root(root)?;
    }
    Ok(lowering.model)
}

/// What a language's output calls by a name of its own.
fn reserved(language: Language) -> &'static [&'static str] {
    match language {
        Language::Rust => &[
            "Box",
            "BTreeMap",
            "Clone",
            "Debug",
            "Default",
            "Deserialize",
            "IntOrString",
            "Option",
            "PartialEq",
            "Self",
            "Serialize",
            "String",
            "Vec",
        ],
        Language::Go | Language::C => &[],
        Language::Python => &["Any", "False", "Literal", "None", "True"],
        Language::TypeScript => &[
            "Array",
            "Condition",
            "KubernetesObject",
            "LabelSelector",
            "Object",
            "ObjectMeta",
            "Record",
        ],
    }
}

/// A place in the input, and what a type made there is called.
#[derive(Clone)]
struct Place {
    path: String,
    name: String,
    /// For a description where there is none: `spec.ports` of `WebApp`.
    below: String,
    root: String,
    /// Whose definition this is, if it is one.
    definition: Option<String>,
}

impl Place {
    fn member(&self, member: &str) -> Self {
        let dot = if self.below.is_empty() { "" } else { "." };
        Self {
            path: format!("{}.properties.{member}", self.path),
            name: format!("{}{}", self.name, names::upper_camel(member)),
            below: format!("{}{dot}{member}", self.below),
            root: self.root.clone(),
            definition: None,
        }
    }

    fn inner(&self, keyword: &str, name: &str, below: &str) -> Self {
        Self {
            path: format!("{}.{keyword}", self.path),
            name: format!("{}{name}", self.name),
            below: format!("{}{below}", self.below),
            root: self.root.clone(),
            definition: None,
        }
    }
}

struct Lowering<'a> {
    source: &'a Source,
    language: Language,
    names: Names,
    model: Model,
    /// What definitions came to.
    references: BTreeMap<String, Type>,
    resources: BTreeMap<String, Resource>,
    /// Definitions that are being looked at and are no records so far.
    pending: BTreeSet<String>,
}

impl Lowering<'_> {
    fn root(&mut self, root: &Root) -> Result<(), TypegenError> {
        match &root.schema {
            Schema::Definition(name) => self.reference(name, REFERENCES).map(drop),
            Schema::Own { schema, path } => {
                let kind = root.resource.as_ref().map_or("", |resource| &resource.kind);
                let name = names::type_name(kind);
                let place = Place {
                    path: path.clone(),
                    name: name.clone(),
                    below: String::new(),
                    root: name,
                    definition: None,
                };
                if !matches!(schema.get("type"), Some(Value::String(kind)) if kind == "object") {
                    return Err(TypegenError::schema(
                        path,
                        "objects are of `type: object`; add that",
                    ));
                }
                self.record(schema, &place, root.resource.clone()).map(drop)
            }
        }
    }

    fn reference(&mut self, name: &str, path: &str) -> Result<Type, TypegenError> {
        if let Some(kind) = self.references.get(name) {
            return Ok(kind.clone());
        }
        if let Some(kind) = self.well_known(name) {
            return Ok(kind);
        }
        let Some(schema) = self.source.definitions.get(name) else {
            return Err(TypegenError::schema(
                path,
                format!("it refers to {name}, which is not in components.schemas; take the whole document"),
            ));
        };
        if !self.pending.insert(name.to_owned()) {
            return Err(TypegenError::schema(
                path,
                format!("{name} refers to itself with no object between; give it `properties`"),
            ));
        }
        let candidates = source::type_names(name);
        let short = candidates.first().cloned().unwrap_or_default();
        let place = Place {
            path: format!("components.schemas.{name}"),
            name: short.clone(),
            below: String::new(),
            root: short,
            definition: Some(name.to_owned()),
        };
        let kind = self.kind(schema, &place)?;
        self.pending.remove(name);
        self.references.insert(name.to_owned(), kind.clone());
        Ok(kind)
    }

    /// Definitions of Kubernetes that are more, or less, than their schema says.
    fn well_known(&self, name: &str) -> Option<Type> {
        let is = |suffix: &str| name.starts_with("io.k8s.") && name.ends_with(suffix);
        let known = [
            (".apis.meta.v1.Time", Type::Time),
            (".apis.meta.v1.MicroTime", Type::Text),
            (".apis.meta.v1.FieldsV1", Type::Map(Box::new(Type::Any))),
            (".apis.meta.v1.ObjectMeta", Type::Sdk(SdkType::ObjectMeta)),
            (".apis.meta.v1.Condition", Type::Sdk(SdkType::Condition)),
            (".apis.meta.v1.LabelSelector", Type::Sdk(SdkType::LabelSelector)),
            (".api.resource.Quantity", Type::Text),
            (".util.intstr.IntOrString", Type::IntOrString),
            (".pkg.runtime.RawExtension", Type::Any),
        ];
        let (_, kind) = known.into_iter().find(|(suffix, _)| is(suffix))?;
        match kind {
            Type::Sdk(sdk) if !self.is_in_sdk(sdk) => None,
            kind => Some(kind),
        }
    }

    fn is_in_sdk(&self, sdk: SdkType) -> bool {
        match sdk {
            SdkType::Condition => self.language != Language::C,
            SdkType::LabelSelector => matches!(self.language, Language::Rust | Language::Go),
            // Rust's is for reading only.
            SdkType::ObjectMeta => !matches!(self.language, Language::Rust | Language::C),
        }
    }

    fn kind(&mut self, schema: &Value, place: &Place) -> Result<Type, TypegenError> {
        let fields = match schema {
            Value::Object(fields) => fields,
            Value::Bool(true) => return Ok(Type::Any),
            _ => {
                return Err(TypegenError::schema(
                    &place.path,
                    "a schema is an object; make it one",
                ));
            }
        };
        if let Some(target) = fields.get("$ref") {
            let name = target.as_str().and_then(|target| target.strip_prefix(REFERENCES));
            let name = name.ok_or_else(|| {
                let problem =
                    format!("`$ref` is {target}; only {REFERENCES}… of the same document can be followed");
                TypegenError::schema(&place.path, problem)
            })?;
            let name = name.replace("~1", "/").replace("~0", "~");
            return self.reference(&name, &place.path);
        }
        if is_int_or_string(schema) {
            return Ok(Type::IntOrString);
        }
        let is_bare = !["type", "properties", "additionalProperties"]
            .iter()
            .any(|keyword| fields.contains_key(*keyword));
        if let (true, Some(Value::Array(all))) = (is_bare, fields.get("allOf")) {
            return self.all_of(all, place);
        }
        match type_of(fields).map_err(|problem| TypegenError::schema(&place.path, problem))? {
            Some("string") => Ok(self.string(schema, place)),
            Some("integer") => Ok(match text(schema, "format") {
                "int32" | "int16" | "uint16" | "int8" | "uint8" => Type::Int32,
                "uint64" | "uint" => Type::UInt64,
                _ => Type::Int64,
            }),
            Some("number") => Ok(Type::Float),
            Some("boolean") => Ok(Type::Bool),
            Some("array") => {
                let place = place.inner("items", "Item", "[]");
                let items = fields.get("items").unwrap_or(&Value::Bool(true));
                Ok(Type::List(Box::new(self.element(items, &place)?)))
            }
            Some("object") => self.object(schema, fields, place),
            None if !is_bare => self.object(schema, fields, place),
            None => Ok(Type::Any),
            Some(other) => Err(TypegenError::schema(
                &place.path,
                format!(
                    "`type` is {other:?}; it is one of array, boolean, integer, number, object and string"
                ),
            )),
        }
    }

    /// What is in a list or a map.
    fn element(&mut self, schema: &Value, place: &Place) -> Result<Type, TypegenError> {
        let kind = self.kind(schema, place)?;
        Ok(match kind {
            Type::Any => Type::Any,
            kind if is_nullable(schema) => Type::Nullable(Box::new(kind)),
            kind => kind,
        })
    }

    fn string(&mut self, schema: &Value, place: &Place) -> Type {
        let values: Vec<String> = enumerated(schema)
            .filter_map(|value| value.as_str().map(str::to_owned))
            .collect();
        if !values.is_empty() {
            let name = self.name(place);
            return self.declare(name, describe(schema, place), Shape::Choice(values));
        }
        match text(schema, "format") {
            "date-time" => Type::Time,
            "byte" => Type::Bytes,
            _ => Type::Text,
        }
    }

    fn object(
        &mut self,
        schema: &Value,
        fields: &Map<String, Value>,
        place: &Place,
    ) -> Result<Type, TypegenError> {
        let properties = fields.get("properties").and_then(Value::as_object);
        if properties.is_some_and(|properties| !properties.is_empty()) {
            if let Some(sdk) = sdk_type(schema).filter(|sdk| self.is_in_sdk(*sdk)) {
                return Ok(Type::Sdk(sdk));
            }
            let resource = place.definition.as_ref();
            let resource = resource.and_then(|name| self.resources.get(name).cloned());
            return self.record(schema, place, resource);
        }
        let values = match fields.get("additionalProperties") {
            Some(values @ Value::Object(_)) => {
                self.element(values, &place.inner("additionalProperties", "Value", "{}"))?
            }
            _ => Type::Any,
        };
        Ok(Type::Map(Box::new(values)))
    }

    fn all_of(&mut self, all: &[Value], place: &Place) -> Result<Type, TypegenError> {
        if let [only] = all {
            let mut inner = place.inner("allOf[0]", "", "");
            inner.definition.clone_from(&place.definition);
            return self.kind(only, &inner);
        }
        let mut merged = Map::new();
        let (mut properties, mut required) = (Map::new(), Vec::new());
        for part in all {
            let part = self.resolved(part);
            for (name, property) in part
                .get("properties")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
            {
                properties.insert(name.clone(), property.clone());
            }
            required.extend(
                part.get("required")
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                    .cloned(),
            );
        }
        if properties.is_empty() {
            return Ok(Type::Any);
        }
        merged.insert("type".to_owned(), "object".into());
        merged.insert("properties".to_owned(), properties.into());
        merged.insert("required".to_owned(), required.into());
        self.kind(&merged.into(), place)
    }

    /// A schema, or the one that it refers to.
    fn resolved<'b>(&'b self, schema: &'b Value) -> &'b Value {
        text(schema, "$ref")
            .strip_prefix(REFERENCES)
            .and_then(|name| self.source.definitions.get(name))
            .unwrap_or(schema)
    }

    fn record(
        &mut self,
        schema: &Value,
        place: &Place,
        resource: Option<Resource>,
    ) -> Result<Type, TypegenError> {
        let name = self.name(place);
        let place = &Place {
            name: name.clone(),
            ..place.clone()
        };
        let kind = self.declare(name, describe(schema, place), Shape::Record(Record::default()));
        if let Some(definition) = &place.definition {
            // From now on it may be referred to by what is in it.
            self.references.insert(definition.clone(), kind.clone());
        }
        let is_resource = resource.is_some();
        let record = Record {
            fields: self.fields(schema, place, is_resource)?,
            is_open: is_open(schema),
            resource,
        };
        if let Type::Named(position) = kind {
            if let Some(declared) = self.model.types.get_mut(position) {
                declared.shape = Shape::Record(record);
            }
        }
        Ok(kind)
    }

    fn fields(
        &mut self,
        schema: &Value,
        place: &Place,
        is_resource: bool,
    ) -> Result<Vec<Field>, TypegenError> {
        let required = schema.get("required").and_then(Value::as_array);
        let required: BTreeSet<&str> = required.into_iter().flatten().filter_map(Value::as_str).collect();
        let properties = schema.get("properties").and_then(Value::as_object);
        // Whatever order the parser keeps.
        let properties: BTreeMap<&String, &Value> = properties.into_iter().flatten().collect();
        let mut fields = Vec::new();
        for (json, property) in properties {
            if is_resource && ["apiVersion", "kind", "metadata"].contains(&json.as_str()) {
                continue;
            }
            let kind = self.kind(property, &place.member(json))?;
            let is_required = required.contains(json.as_str());
            let is_nullable = is_nullable(property) && kind != Type::Any;
            let default = property.get("default").filter(|_| !is_required && !is_nullable);
            let default = default.filter(|value| self.is_of(value, &kind)).cloned();
            fields.push(Field {
                json: json.clone(),
                description: describe_field(property, &kind, default.as_ref()),
                kind,
                is_required,
                is_nullable,
                default,
            });
        }
        Ok(fields)
    }

    /// Whether a default is one that a language can write. An empty text is none: documents
    /// of Kubernetes have it for Go's sake.
    fn is_of(&self, value: &Value, kind: &Type) -> bool {
        match kind {
            Type::Text => value.as_str().is_some_and(|text| !text.is_empty()),
            Type::Int32 => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
            Type::Int64 => value.is_i64(),
            Type::UInt64 => value.is_u64(),
            Type::Float => value.is_number(),
            Type::Bool => value.is_boolean(),
            Type::Named(position) => match self.model.types.get(*position).map(|declared| &declared.shape) {
                Some(Shape::Choice(values)) => values.iter().any(|choice| value == choice.as_str()),
                _ => false,
            },
            _ => false,
        }
    }

    fn name(&mut self, place: &Place) -> String {
        let candidates = match &place.definition {
            Some(definition) => source::type_names(definition),
            None => vec![place.name.clone()],
        };
        self.names.unique(&candidates)
    }

    fn declare(&mut self, name: String, description: String, shape: Shape) -> Type {
        self.model.types.push(Declared {
            name,
            description,
            shape,
        });
        Type::Named(self.model.types.len() - 1)
    }
}

/// `type`, of which OpenAPI 3.1 allows several; null among them is not counted.
fn type_of(fields: &Map<String, Value>) -> Result<Option<&str>, String> {
    match fields.get("type") {
        None => Ok(None),
        Some(Value::String(kind)) => Ok(Some(kind)),
        Some(Value::Array(kinds)) => {
            let mut kinds = kinds
                .iter()
                .filter_map(Value::as_str)
                .filter(|kind| *kind != "null");
            let first = kinds.next();
            Ok(first.filter(|_| kinds.next().is_none()))
        }
        Some(other) => Err(format!("`type` is {other}; write one as a text")),
    }
}

fn is_nullable(schema: &Value) -> bool {
    let has_null = |kinds: &Vec<Value>| kinds.iter().any(|kind| kind == "null");
    schema.get("nullable") == Some(&Value::Bool(true))
        || schema.get("type").and_then(Value::as_array).is_some_and(has_null)
}

fn is_open(schema: &Value) -> bool {
    schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true))
        || schema
            .get("additionalProperties")
            .is_some_and(|values| *values != Value::Bool(false))
}

/// An integer or a string, in any of the ways that Kubernetes says it.
fn is_int_or_string(schema: &Value) -> bool {
    if schema.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true))
        || text(schema, "format") == "int-or-string"
    {
        return true;
    }
    let ways = ["oneOf", "anyOf"]
        .iter()
        .find_map(|way| schema.get(*way)?.as_array());
    let kinds: Option<BTreeSet<&str>> = ways.map(|ways| ways.iter().map(|way| text(way, "type")).collect());
    schema.get("type").is_none() && kinds == Some(BTreeSet::from(["integer", "string"]))
}

/// The SDK's type for an object of this shape. All fields have to be the same: another one
/// would be lost when it is written.
fn sdk_type(schema: &Value) -> Option<SdkType> {
    let properties = schema.get("properties")?.as_object()?;
    let names: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
    let condition = [
        "lastTransitionTime",
        "message",
        "observedGeneration",
        "reason",
        "status",
        "type",
    ];
    if names == BTreeSet::from(condition) {
        return Some(SdkType::Condition);
    }
    (names == BTreeSet::from(["matchExpressions", "matchLabels"])).then_some(SdkType::LabelSelector)
}

fn enumerated(schema: &Value) -> impl Iterator<Item = &Value> {
    let values = schema.get("enum").and_then(Value::as_array);
    values.into_iter().flatten()
}

fn describe(schema: &Value, place: &Place) -> String {
    match text(schema, "description").trim() {
        "" if place.below.is_empty() => format!("{}, as its schema has it.", place.root),
        "" => format!("`{}` of {}.", place.below, place.root),
        description => description.to_owned(),
    }
}

/// What the type does not say is added to a field's description.
fn describe_field(schema: &Value, kind: &Type, default: Option<&Value>) -> String {
    let mut description = text(schema, "description").trim().to_owned();
    let mut add = |sentence: String| {
        if !description.is_empty() {
            description.push('\n');
        }
        description.push_str(&sentence);
    };
    if matches!(kind, Type::Int32 | Type::Int64 | Type::UInt64 | Type::Float) {
        let values: Vec<String> = enumerated(schema).map(Value::to_string).collect();
        if !values.is_empty() {
            add(format!("One of {}.", values.join(", ")));
        }
    }
    if let Some(default) = default {
        add(format!("Default {default}."));
    }
    description
}

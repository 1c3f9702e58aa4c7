//! What a schema comes to before it is written in a language.

use serde_json::Value;

/// All types of one file; those that refer come before those that are referred to first.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) types: Vec<Declared>,
}

/// A type with a name.
#[derive(Debug)]
pub(crate) struct Declared {
    /// In UpperCamelCase, unique in the file.
    pub(crate) name: String,
    /// For people; never empty.
    pub(crate) description: String,
    pub(crate) shape: Shape,
}

#[derive(Debug)]
pub(crate) enum Shape {
    Record(Record),
    /// One of these texts.
    Choice(Vec<String>),
}

/// An object with known fields.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// Without `apiVersion`, `kind` and `metadata` if it is a resource. Sorted by name.
    pub(crate) fields: Vec<Field>,
    /// Whether the API server keeps fields that the schema does not name.
    pub(crate) is_open: bool,
    /// Where such objects are served; none for parts of objects.
    pub(crate) resource: Option<Resource>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) plural: String,
    pub(crate) is_namespaced: bool,
}

impl Resource {
    pub(crate) fn api_version(&self) -> String {
        match self.group.as_str() {
            "" => self.version.clone(),
            group => format!("{group}/{}", self.version),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Field {
    /// Its name in JSON.
    pub(crate) json: String,
    /// For people; may be empty.
    pub(crate) description: String,
    pub(crate) kind: Type,
    pub(crate) is_required: bool,
    /// Whether null is a value of its own. The API server removes other nulls.
    pub(crate) is_nullable: bool,
    /// What the API server fills in where it is absent: a scalar of the field's type, and
    /// only for fields that are neither required nor nullable.
    pub(crate) default: Option<Value>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Type {
    Text,
    /// Base64 in JSON.
    Bytes,
    /// RFC 3339 in JSON.
    Time,
    Int32,
    Int64,
    UInt64,
    Float,
    Bool,
    IntOrString,
    /// Any JSON.
    Any,
    List(Box<Type>),
    Map(Box<Type>),
    /// An item or a value that may be null.
    Nullable(Box<Type>),
    /// A position in the model.
    Named(usize),
    /// What the SDK has a type for.
    Sdk(SdkType),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SdkType {
    Condition,
    LabelSelector,
    ObjectMeta,
}

impl Type {
    pub(crate) fn is_collection(&self) -> bool {
        matches!(self, Self::List(_) | Self::Map(_))
    }

    /// The type and those it is made of.
    pub(crate) fn walk(&self, visit: &mut impl FnMut(&Self)) {
        visit(self);
        match self {
            Self::List(inner) | Self::Map(inner) | Self::Nullable(inner) => inner.walk(visit),
            _ => {}
        }
    }
}

impl Model {
    pub(crate) fn name(&self, position: usize) -> &str {
        self.types.get(position).map_or("", |declared| &declared.name)
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = (usize, &Declared, &Record)> {
        let types = self.types.iter().enumerate();
        types.filter_map(|(position, declared)| match &declared.shape {
            Shape::Record(record) => Some((position, declared, record)),
            Shape::Choice(_) => None,
        })
    }

    pub(crate) fn record(&self, position: usize) -> Option<&Record> {
        match &self.types.get(position)?.shape {
            Shape::Record(record) => Some(record),
            Shape::Choice(_) => None,
        }
    }

    /// Whether some field is, or is made of, such a type.
    pub(crate) fn has(&self, is_it: impl Fn(&Type) -> bool) -> bool {
        let mut found = false;
        for (_, _, record) in self.records() {
            for field in &record.fields {
                field.kind.walk(&mut |kind| found |= is_it(kind));
            }
        }
        found
    }

    /// Whether a record holds itself without a list or a map between, by this field: a type
    /// that would have no size.
    pub(crate) fn is_endless(&self, holder: usize, kind: &Type) -> bool {
        let Type::Named(target) = *kind else { return false };
        let (mut seen, mut next) = (vec![false; self.types.len()], vec![target]);
        while let Some(position) = next.pop() {
            if position == holder {
                return true;
            }
            if let Some(seen) = seen.get_mut(position).filter(|seen| !**seen) {
                *seen = true;
                let fields = self.record(position).map_or(&[][..], |record| &record.fields);
                next.extend(fields.iter().filter_map(|field| match field.kind {
                    Type::Named(position) => Some(position),
                    _ => None,
                }));
            }
        }
        false
    }

    /// Whether it is a resource's `spec` or `status` that need not be there and has nothing
    /// that must be: a value then, which spares authors a look whether there is one.
    pub(crate) fn is_ever_there(&self, holder: &Record, field: &Field) -> bool {
        let Type::Named(position) = field.kind else {
            return false;
        };
        holder.resource.is_some()
            && ["spec", "status"].contains(&field.json.as_str())
            && !field.is_nullable
            && !field.is_required
            && self
                .record(position)
                .is_some_and(|record| record.fields.iter().all(|field| !field.is_required))
    }
}

//! The reference of the contract, from the WIT that this was built with.

use std::fmt::Write as _;

use windlass_build::contract;
use wit_parser::{
    Docs, Function, FunctionKind, Interface, PackageId, Resolve, Type, TypeDef, TypeDefKind, World,
    WorldItem, WorldKey,
};

/// What a reader wants first; the others follow by name.
const FIRST: [&str; 7] = [
    "plugin",
    "handler",
    "blocking-handler",
    "observer",
    "mapper",
    "manifest",
    "types",
];

/// The page of the contract that controllers are written against.
const CONTROLLER_PAGE: &str = "contract.md";

/// Markdown of every interface: what a guest exports, what it declares, what it may import.
pub(crate) fn controller() -> String {
    page("Contract", contract::resolve())
}

/// The same of what plugins of the scheduler export, and of how it calls them.
pub(crate) fn scheduler() -> String {
    page(
        "Contract of the scheduler's plugins",
        contract::resolve_scheduler(),
    )
}

fn page(title: &str, (resolve, id): (Resolve, PackageId)) -> String {
    let reference = Reference {
        resolve: &resolve,
        package: id,
    };
    let package = &resolve.packages[id];
    let mut text = format!(
        "# {title}\n\nThe package `{}`, generated from its WIT.\n\n",
        package.name
    );
    text.push_str(&docs(&package.docs));
    let mut interfaces: Vec<_> = package.interfaces.iter().collect();
    let place = |name: &str| {
        FIRST
            .iter()
            .position(|first| *first == name)
            .unwrap_or(FIRST.len())
    };
    interfaces.sort_by_key(|(name, _)| (place(name), name.as_str()));
    for (name, id) in interfaces {
        reference.interface(&mut text, name, &resolve.interfaces[*id]);
    }
    text.push_str("\n## Worlds\n\n| world | exports | imports |\n| --- | --- | --- |\n");
    for id in package.worlds.values() {
        reference.world(&mut text, &resolve.worlds[*id]);
    }
    text
}

struct Reference<'a> {
    resolve: &'a Resolve,
    /// What the page is about.
    package: PackageId,
}

impl Reference<'_> {
    fn interface(&self, text: &mut String, name: &str, interface: &Interface) {
        let _ = write!(text, "\n## {name}\n\n{}", docs(&interface.docs));
        for (name, id) in &interface.types {
            let defined = &self.resolve.types[*id];
            // A type that is used from elsewhere is described there.
            if !is_alias_of_another(self.resolve, defined) {
                self.type_definition(text, name, defined);
            }
        }
        for function in interface.functions.values() {
            let signature = self.signature(function);
            let _ = write!(
                text,
                "\n### {}\n\n```wit\n{signature}\n```\n\n{}",
                function.name,
                docs(&function.docs)
            );
        }
    }

    fn signature(&self, function: &Function) -> String {
        let waits = matches!(function.kind, FunctionKind::AsyncFreestanding);
        let parameters: Vec<_> = function
            .params
            .iter()
            .map(|parameter| format!("{}: {}", parameter.name, self.name(&parameter.ty)))
            .collect();
        format!(
            "{}: {}func({}){};",
            function.name,
            if waits { "async " } else { "" },
            parameters.join(", "),
            function
                .result
                .map_or(String::new(), |result| format!(" -> {}", self.name(&result)))
        )
    }

    fn type_definition(&self, text: &mut String, name: &str, defined: &TypeDef) {
        let kind = defined.kind.as_str();
        let _ = write!(text, "\n### {name}\n\n*{kind}*\n\n{}", docs(&defined.docs));
        match &defined.kind {
            TypeDefKind::Record(record) => {
                let rows = record
                    .fields
                    .iter()
                    .map(|field| (field.name.as_str(), Some(self.name(&field.ty)), &field.docs));
                table(text, "field", rows);
            }
            TypeDefKind::Variant(variant) => {
                let rows = variant
                    .cases
                    .iter()
                    .map(|case| (case.name.as_str(), case.ty.map(|ty| self.name(&ty)), &case.docs));
                table(text, "case", rows);
            }
            TypeDefKind::Enum(cases) => {
                let rows = cases
                    .cases
                    .iter()
                    .map(|case| (case.name.as_str(), None, &case.docs));
                table(text, "case", rows);
            }
            TypeDefKind::Flags(flags) => {
                let rows = flags
                    .flags
                    .iter()
                    .map(|flag| (flag.name.as_str(), None, &flag.docs));
                table(text, "flag", rows);
            }
            other => {
                let _ = write!(text, "\n```wit\ntype {name} = {};\n```\n", self.kind_name(other));
            }
        }
    }

    /// A type as WIT writes it.
    fn name(&self, ty: &Type) -> String {
        match ty {
            Type::Id(id) => {
                let defined = &self.resolve.types[*id];
                defined
                    .name
                    .clone()
                    .unwrap_or_else(|| self.kind_name(&defined.kind))
            }
            Type::ErrorContext => "error-context".to_owned(),
            primitive => format!("{primitive:?}").to_lowercase(),
        }
    }

    fn kind_name(&self, kind: &TypeDefKind) -> String {
        match kind {
            TypeDefKind::Option(inner) => format!("option<{}>", self.name(inner)),
            TypeDefKind::List(inner) => format!("list<{}>", self.name(inner)),
            TypeDefKind::Type(inner) => self.name(inner),
            TypeDefKind::Tuple(tuple) => {
                let types: Vec<_> = tuple.types.iter().map(|ty| self.name(ty)).collect();
                format!("tuple<{}>", types.join(", "))
            }
            TypeDefKind::Result(result) => {
                let side = |ty: &Option<Type>| ty.as_ref().map_or("_".to_owned(), |ty| self.name(ty));
                match (&result.ok, &result.err) {
                    (None, None) => "result".to_owned(),
                    (_, None) => format!("result<{}>", side(&result.ok)),
                    _ => format!("result<{}, {}>", side(&result.ok), side(&result.err)),
                }
            }
            other => other.as_str().to_owned(),
        }
    }

    fn world(&self, text: &mut String, world: &World) {
        let names = |items: &mut dyn Iterator<Item = (&WorldKey, &WorldItem)>| {
            let names: Vec<_> = items.filter_map(|(key, _)| self.interface_name(key)).collect();
            if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(", ")
            }
        };
        let _ = writeln!(
            text,
            "| `{}` | {} | {} |",
            world.name,
            names(&mut world.exports.iter()),
            names(&mut world.imports.iter())
        );
    }

    fn interface_name(&self, key: &WorldKey) -> Option<String> {
        let WorldKey::Interface(id) = key else { return None };
        let interface = &self.resolve.interfaces[*id];
        let name = interface.name.as_ref()?;
        // What is borrowed from the other package is described with it.
        let page = if interface.package == Some(self.package) {
            ""
        } else {
            CONTROLLER_PAGE
        };
        Some(format!("[{name}]({page}#{name})"))
    }
}

fn is_alias_of_another(resolve: &Resolve, defined: &TypeDef) -> bool {
    match defined.kind {
        TypeDefKind::Type(Type::Id(id)) => resolve.types[id].owner != defined.owner,
        _ => false,
    }
}

fn table<'a>(text: &mut String, head: &str, rows: impl Iterator<Item = (&'a str, Option<String>, &'a Docs)>) {
    let rows: Vec<_> = rows.collect();
    let has_types = rows.iter().any(|(_, ty, _)| ty.is_some());
    let (types, line) = if has_types {
        ("type | ", "--- | ")
    } else {
        ("", "")
    };
    let _ = write!(text, "\n| {head} | {types} |\n| --- | {line}--- |\n");
    for (name, ty, docs) in rows {
        let ty = match ty {
            Some(ty) => format!("`{ty}` | "),
            None if has_types => " | ".to_owned(),
            None => String::new(),
        };
        let told = docs
            .contents
            .as_deref()
            .unwrap_or_default()
            .replace('\n', " ")
            .replace('|', "\\|");
        let _ = writeln!(text, "| `{name}` | {ty}{} |", told.trim());
    }
}

/// A comment, which is Markdown already.
fn docs(docs: &Docs) -> String {
    let lines = docs.contents.as_deref().unwrap_or_default().lines();
    lines.map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_interface_function_and_type_of_the_contract_is_described() {
        let text = controller();
        for part in [
            "## handler\n",
            "```wit\nsync-handler: async func(sync: sync-id, key: object-key) -> result<outcome, sync-error>;\n```",
            "```wit\nlist: func(watch: u32, namespace: option<string>, label-selector: string) -> result<list<json>, string>;\n```",
            "| `requeue-after` | `u64` | Sync again after this many milliseconds",
            "```wit\ntype json = list<u8>;\n```",
            "| `blocking-controller` | [blocking-handler](#blocking-handler) |",
            "| `added` |",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
        assert_eq!(
            text.matches("\n### object-key\n").count(),
            1,
            "described where it is defined"
        );
    }

    #[test]
    fn what_plugins_borrow_is_described_on_the_other_page() {
        let text = scheduler();
        for part in [
            "# Contract of the scheduler's plugins\n",
            "\n## plugin\n",
            "\n### evaluation\n",
            "```wit\nupdate-nodes: func(nodes: list<node>);\n```",
            "| `scheduler-plugin` | [plugin](#plugin) | ",
            "[logging](contract.md#logging)",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
    }
}

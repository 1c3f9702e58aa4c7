//! Reads an object from standard input with the generated types, and writes what is in it.

#![deny(warnings)]

mod resources;

use windlass_sdk::Object;

fn main() {
    let gadget: resources::Gadget = serde_json::from_reader(std::io::stdin()).unwrap();
    let meta = gadget.meta();
    let written = serde_json::json!({
        "apiVersion": resources::Gadget::RESOURCE.api_version(),
        "kind": resources::Gadget::KIND,
        "metadata": {"name": meta.name, "namespace": meta.namespace},
        "spec": gadget.spec,
        "status": gadget.status,
    });
    println!("{written}");
}

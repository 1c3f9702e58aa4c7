//! Custom resources as today's kubectl sees them. Skipped where kubectl could not be built.

use std::path::PathBuf;

use anyhow::Result;
use serde_json::{Value, json};
use windlass_tests::cluster::Cluster;
use windlass_tests::kubectl::Kubectl;

/// A cluster that serves gadgets.
async fn with_gadgets() -> Result<Option<(Cluster, Kubectl)>> {
    let Some((cluster, kubectl)) = Kubectl::up(&["--nodes", "1"]).await? else {
        return Ok(None);
    };
    let schema = json!({"type": "object", "properties": {
        "spec": {"type": "object", "description": "What is wanted.", "required": ["size"], "properties": {
            "size": {"type": "integer", "maximum": 10, "description": "How large it is."},
            "color": {"type": "string", "default": "red"},
            "replicas": {"type": "integer", "default": 1},
        }},
        "status": {"type": "object", "properties": {"replicas": {"type": "integer"}}},
    }});
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "gadgets.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"plural": "gadgets", "kind": "Gadget", "shortNames": ["gd"]},
            "versions": [{
                "name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema},
                "subresources": {
                    "status": {},
                    "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"},
                },
                "additionalPrinterColumns": [
                    {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
                    {"name": "Color", "type": "string", "jsonPath": ".spec.color", "priority": 1},
                ],
            }],
        },
    });
    let file = write(&cluster, "definition", &definition)?;
    kubectl
        .run(&format!("apply --filename={}", file.display()))
        .await?;
    kubectl
        .run("wait crd/gadgets.example.com --for=condition=Established")
        .await?;
    Ok(Some((cluster, kubectl)))
}

fn write(cluster: &Cluster, name: &str, object: &Value) -> Result<PathBuf> {
    let file = cluster.folder.path().join(format!("{name}.json"));
    std::fs::write(&file, object.to_string())?;
    Ok(file)
}

fn gadget(cluster: &Cluster, spec: Value) -> Result<String> {
    let object =
        json!({"apiVersion": "example.com/v1", "kind": "Gadget", "metadata": {"name": "g"}, "spec": spec});
    let file = write(cluster, "gadget", &object)?;
    Ok(format!("apply --filename={}", file.display()))
}

fn rows(table: &str) -> Vec<Vec<&str>> {
    table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_custom_object_is_applied_shown_scaled_and_changed() -> Result<()> {
    let Some((cluster, kubectl)) = with_gadgets().await? else {
        return Ok(());
    };
    let apply = gadget(&cluster, json!({"size": 3}))?;
    assert_eq!(kubectl.stdout(&apply).await?, "gadget.example.com/g created\n");
    assert_eq!(kubectl.stdout(&apply).await?, "gadget.example.com/g unchanged\n");
    assert_eq!(
        rows(&kubectl.stdout("get gd").await?),
        [["NAME", "SIZE"], ["g", "3"]]
    );
    let wide = kubectl.stdout("get gadgets --output=wide").await?;
    assert_eq!(rows(&wide), [["NAME", "SIZE", "COLOR"], ["g", "3", "red"]]);

    let apply = gadget(&cluster, json!({"size": 4, "color": "blue"}))?;
    assert_eq!(kubectl.stdout(&apply).await?, "gadget.example.com/g configured\n");
    assert_eq!(
        kubectl.stdout("scale gadget g --replicas=6").await?,
        "gadget.example.com/g scaled\n"
    );
    let shown =
        "get gadget g --output=jsonpath={.spec.color},{.spec.size},{.spec.replicas},{.metadata.generation}";
    assert_eq!(kubectl.stdout(shown).await?, "blue,4,6,3");
    kubectl
        .run("patch gadget g --subresource=status --type=merge --patch={\"status\":{\"replicas\":6}}")
        .await?;
    let status = "get gadget g --output=jsonpath={.status.replicas},{.metadata.generation}";
    assert_eq!(kubectl.stdout(status).await?, "6,3");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_custom_object_that_breaks_its_schema_is_refused() -> Result<()> {
    let Some((cluster, kubectl)) = with_gadgets().await? else {
        return Ok(());
    };
    let unknown = kubectl
        .refused(&gadget(&cluster, json!({"size": 1, "sise": 2}))?)
        .await?;
    assert!(
        unknown.contains("strict decoding error: unknown field \"spec.sise\""),
        "{unknown}"
    );
    let large = kubectl.refused(&gadget(&cluster, json!({"size": 11}))?).await?;
    assert!(
        large.contains("spec.size: Invalid value: 11: spec.size in body should be less than or equal to 10"),
        "{large}"
    );
    let missing = kubectl.refused(&gadget(&cluster, json!({}))?).await?;
    assert!(missing.contains("spec.size: Required value"), "{missing}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_is_explained_and_goes_with_its_definition() -> Result<()> {
    let Some((cluster, kubectl)) = with_gadgets().await? else {
        return Ok(());
    };
    let explained = kubectl.stdout("explain gadget.spec").await?;
    assert!(explained.contains("What is wanted."), "{explained}");
    assert!(explained.contains("How large it is."), "{explained}");
    kubectl.run(&gadget(&cluster, json!({"size": 1}))?).await?;
    kubectl.run("delete crd gadgets.example.com").await?;
    let gone = kubectl.refused("get gadgets.v1.example.com").await?;
    assert!(
        gone.contains("the server doesn't have a resource type")
            || gone.contains("could not find the requested resource"),
        "{gone}"
    );
    Ok(())
}

use super::*;

fn node() -> NodeFacts {
    NodeFacts {
        name: "node-0".into(),
        labels: [("zone".into(), "a".into()), ("cores".into(), "16".into())].into(),
        allocatable: [
            ("cpu".into(), 4_000),
            ("memory".into(), 1_000_000),
            ("pods".into(), 2_000),
        ]
        .into(),
        ..NodeFacts::default()
    }
}

fn spec(json: &str) -> PodSpec {
    serde_json::from_str(json).unwrap()
}

fn admit(ledger: &Ledger, json: &str, node: &NodeFacts) -> Result<(), String> {
    let spec = spec(json);
    ledger
        .admit(&spec, &Footprint::of(&spec), node)
        .map_err(|failure| failure.reason.to_string())
}

fn occupied_by(json: &str) -> Ledger {
    let mut ledger = Ledger::default();
    ledger.enter(&Footprint::of(&spec(json)));
    ledger
}

#[test]
fn a_pod_needs_the_larger_of_its_start_and_its_run() {
    let footprint = Footprint::of(&spec(
        r#"{"initContainers":[
              {"name":"sidecar","restartPolicy":"Always","resources":{"requests":{"cpu":"1"}}},
              {"name":"init","resources":{"requests":{"cpu":"3","memory":"10"}}}],
            "containers":[{"name":"a","resources":{"requests":{"cpu":"1"}}},{"name":"b","resources":{"requests":{"cpu":"500m"}}}],
            "overhead":{"cpu":"100m"}}"#,
    ));
    assert_eq!(
        footprint.amounts.get("cpu"),
        Some(&4_100),
        "init with the sidecar beside it, plus overhead"
    );
    assert_eq!(footprint.amounts.get("memory"), Some(&10_000));
}

#[test]
fn a_pod_that_exceeds_a_resource_is_rejected_by_its_name() {
    let ledger = occupied_by(r#"{"containers":[{"name":"a","resources":{"requests":{"cpu":"3"}}}]}"#);
    let two_cpus = r#"{"containers":[{"name":"a","resources":{"requests":{"cpu":"2"}}}]}"#;
    let failure = ledger
        .admit(&spec(two_cpus), &Footprint::of(&spec(two_cpus)), &node())
        .unwrap_err();
    assert_eq!(failure.reason, "OutOfcpu");
    assert_eq!(
        failure.message,
        "Pod was rejected: Node didn't have enough resource: cpu, requested: 2000, used: 3000, capacity: 4000"
    );
    let device = r#"{"containers":[{"name":"a","resources":{"requests":{"example.com/gpu":"1"}}}]}"#;
    assert_eq!(
        admit(&Ledger::default(), device, &node()),
        Err("OutOfexample.com/gpu".to_owned())
    );
}

#[test]
fn room_that_a_pod_left_can_be_used_again() {
    let json =
        r#"{"containers":[{"name":"a","ports":[{"hostPort":80}],"resources":{"requests":{"cpu":"3"}}}]}"#;
    let mut ledger = occupied_by(json);
    assert_eq!(admit(&ledger, json, &node()), Err("OutOfcpu".to_owned()));
    ledger.remove(&Footprint::of(&spec(json)));
    assert_eq!(admit(&ledger, json, &node()), Ok(()));
}

#[test]
fn host_ports_conflict_by_protocol_and_address() {
    let ledger =
        occupied_by(r#"{"containers":[{"name":"a","ports":[{"hostPort":80,"hostIP":"127.0.0.1"}]}]}"#);
    for (port, taken) in [
        (r#"{"hostPort":80}"#, true),
        (r#"{"hostPort":80,"hostIP":"0.0.0.0"}"#, true),
        (r#"{"hostPort":80,"hostIP":"127.0.0.2"}"#, false),
        (r#"{"hostPort":80,"protocol":"UDP"}"#, false),
        (r#"{"containerPort":80}"#, false),
    ] {
        let json = format!(r#"{{"containers":[{{"name":"a","ports":[{port}]}}]}}"#);
        let expected = if taken {
            Err("NodePorts".to_owned())
        } else {
            Ok(())
        };
        assert_eq!(admit(&ledger, &json, &node()), expected, "{port}");
    }
}

#[test]
fn the_node_must_match_selector_and_affinity() {
    let affinity = |term: &str| {
        format!(
            r#"{{"affinity":{{"nodeAffinity":{{"requiredDuringSchedulingIgnoredDuringExecution":{{"nodeSelectorTerms":[{term}]}}}}}}}}"#
        )
    };
    let expression = |text: &str| affinity(&format!(r#"{{"matchExpressions":[{text}]}}"#));
    for (json, matches) in [
        (r#"{"nodeSelector":{"zone":"a"}}"#.to_owned(), true),
        (r#"{"nodeSelector":{"zone":"b"}}"#.to_owned(), false),
        (
            expression(r#"{"key":"zone","operator":"In","values":["a","b"]}"#),
            true,
        ),
        (
            expression(r#"{"key":"disk","operator":"NotIn","values":["hdd"]}"#),
            true,
        ),
        (expression(r#"{"key":"disk","operator":"Exists"}"#), false),
        (
            expression(r#"{"key":"cores","operator":"Gt","values":["8"]}"#),
            true,
        ),
        (
            expression(r#"{"key":"cores","operator":"Lt","values":["8"]}"#),
            false,
        ),
        (
            affinity(r#"{"matchFields":[{"key":"metadata.name","operator":"In","values":["node-0"]}]}"#),
            true,
        ),
        (affinity("{}"), false),
    ] {
        let expected = if matches {
            Ok(())
        } else {
            Err("NodeAffinity".to_owned())
        };
        assert_eq!(admit(&Ledger::default(), &json, &node()), expected, "{json}");
    }
}

#[test]
fn only_taints_that_evict_keep_pods_away() {
    let tainted = |effect: &str| NodeFacts {
        taints: vec![Taint {
            key: "k".into(),
            value: "v".into(),
            effect: effect.into(),
        }],
        ..node()
    };
    assert_eq!(admit(&Ledger::default(), "{}", &tainted("NoSchedule")), Ok(()));
    assert_eq!(
        admit(&Ledger::default(), "{}", &tainted("NoExecute")),
        Err("TaintToleration".to_owned())
    );
    for toleration in [
        r#"{"operator":"Exists"}"#,
        r#"{"key":"k","value":"v","effect":"NoExecute"}"#,
    ] {
        let json = format!(r#"{{"tolerations":[{toleration}]}}"#);
        assert_eq!(
            admit(&Ledger::default(), &json, &tainted("NoExecute")),
            Ok(()),
            "{toleration}"
        );
    }
}

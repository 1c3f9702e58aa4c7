use super::*;

fn declaration(name: &str, kind: CustomKind, labels: &[&str]) -> Declaration {
    Declaration {
        name: name.to_owned(),
        help: "For tests.".to_owned(),
        kind,
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
    }
}

fn instance() -> (DeclaredMetrics, Arc<CustomMetrics>) {
    let metrics = Arc::<CustomMetrics>::default();
    (DeclaredMetrics::new(Arc::clone(&metrics)), metrics)
}

fn values(metrics: &CustomMetrics) -> Vec<(Vec<String>, CustomValue)> {
    let families = metrics.families().into_iter();
    families.flat_map(|family| family.series).collect()
}

#[test]
fn each_kind_takes_the_changes_that_make_sense_for_it() {
    let (mut guest, metrics) = instance();
    let counter = guest
        .declare(declaration("a_total", CustomKind::Counter, &[]))
        .unwrap();
    let gauge = guest.declare(declaration("b", CustomKind::Gauge, &[])).unwrap();
    let histogram = CustomKind::Histogram(vec![1.0, 2.0]);
    let histogram = guest.declare(declaration("c", histogram, &[])).unwrap();
    for change in [
        Change::Add(2.0),
        Change::Add(-1.0),
        Change::Set(9.0),
        Change::Add(f64::NAN),
    ] {
        guest.change(counter, vec![], change);
    }
    for change in [
        Change::Set(5.0),
        Change::Add(-2.0),
        Change::Observe(1.0),
        Change::Set(f64::INFINITY),
    ] {
        guest.change(gauge, vec![], change);
    }
    for change in [
        Change::Observe(1.0),
        Change::Observe(1.5),
        Change::Observe(7.0),
        Change::Add(1.0),
    ] {
        guest.change(histogram, vec![], change);
    }
    let counts = vec![1, 1, 1];
    assert_eq!(
        values(&metrics),
        [
            (vec![], CustomValue::Number(2.0)),
            (vec![], CustomValue::Number(3.0)),
            (vec![], CustomValue::Histogram { counts, sum: 9.5 }),
        ]
    );
    assert_eq!(metrics.dropped(), 6);
}

#[test]
fn wrong_declarations_are_refused_by_name() {
    let (mut guest, _) = instance();
    let mut refused = |declaration: Declaration| guest.declare(declaration).unwrap_err().to_string();
    assert_eq!(
        refused(declaration("2nd", CustomKind::Gauge, &[])),
        "metric name \"2nd\": use letters, digits and underscores, at most 100, no digit in front"
    );
    for label in ["module", "le", "__name__", "a-b", ""] {
        assert_eq!(
            refused(declaration("a", CustomKind::Gauge, &[label])),
            format!(
                "metric a: label \"{label}\" is taken, given twice, or not of letters, digits and underscores"
            )
        );
    }
    assert_eq!(
        refused(declaration("a", CustomKind::Gauge, &["x"; 9])),
        "metric a: 9 labels, at most 8 are possible"
    );
    let backwards = CustomKind::Histogram(vec![2.0, 1.0]);
    assert_eq!(
        refused(declaration("a", backwards, &[])),
        "metric a: the bounds of its buckets must be finite and ascending, at most 32"
    );
}

#[test]
fn declaring_again_gives_the_same_number_unless_it_changed() {
    let (mut guest, _) = instance();
    let first = guest.declare(declaration("a", CustomKind::Gauge, &["x"]));
    assert_eq!(guest.declare(declaration("a", CustomKind::Gauge, &["x"])), first);
    assert_eq!(
        guest.declare(declaration("a", CustomKind::Counter, &["x"])),
        Err(DeclareError::Changed("a".to_owned()))
    );
    for number in 1..MAX_DECLARED {
        let name = format!("metric_{number}");
        guest.declare(declaration(&name, CustomKind::Gauge, &[])).unwrap();
    }
    assert_eq!(
        guest.declare(declaration("one_more", CustomKind::Gauge, &[])),
        Err(DeclareError::TooMany("one_more".to_owned()))
    );
}

#[test]
fn series_past_the_limit_are_dropped_and_the_others_go_on() {
    let (mut guest, metrics) = instance();
    let gauge = guest
        .declare(declaration("a", CustomKind::Gauge, &["x"]))
        .unwrap();
    for number in 0..MAX_SERIES + 10 {
        guest.change(gauge, vec![number.to_string()], Change::Set(1.0));
    }
    guest.change(gauge, vec!["0".to_owned()], Change::Set(2.0));
    guest.change(gauge, vec![], Change::Set(1.0));
    guest.change(gauge + 1, vec![], Change::Set(1.0));
    guest.change(gauge, vec!["x".repeat(257)], Change::Set(1.0));
    let values = values(&metrics);
    assert_eq!(values.len(), MAX_SERIES);
    assert!(values.contains(&(vec!["0".to_owned()], CustomValue::Number(2.0))));
    assert_eq!(metrics.dropped(), 13);
}

#[test]
fn values_outlive_an_instance_and_end_with_a_version_that_declares_otherwise() {
    let (mut first, metrics) = instance();
    let gauge = first.declare(declaration("a", CustomKind::Gauge, &[])).unwrap();
    first.change(gauge, vec![], Change::Set(1.0));
    let mut second = DeclaredMetrics::new(Arc::clone(&metrics));
    second.declare(declaration("a", CustomKind::Gauge, &[])).unwrap();
    assert_eq!(values(&metrics), [(vec![], CustomValue::Number(1.0))]);
    let mut third = DeclaredMetrics::new(Arc::clone(&metrics));
    third.declare(declaration("a", CustomKind::Counter, &[])).unwrap();
    assert_eq!(values(&metrics), []);
    first.change(gauge, vec![], Change::Set(1.0));
    assert_eq!((values(&metrics), metrics.dropped()), (vec![], 1));
}

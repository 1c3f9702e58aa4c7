//! Holds what a plugin answers against what it was asked.

use super::calls::{Evaluation, Hooks, Normalize};
use crate::plugins::{MAX_SCORE, default_normalize, reverse_normalize};

/// The answer, if it is one to the question.
///
/// # Errors
/// Names the plugin and the hook.
pub(super) fn check(
    name: &str,
    evaluation: Evaluation,
    nodes: usize,
    asked: Hooks,
) -> Result<Evaluation, String> {
    if evaluation.rejection.is_some() {
        return match asked.contains(Hooks::PRE_FILTER) {
            true => Ok(evaluation),
            false => Err(format!(
                "running PreFilter plugin {name:?}: it rejects the pod without being asked"
            )),
        };
    }
    let expected = |hook| if asked.contains(hook) { nodes } else { 0 };
    let (verdicts, scores) = (evaluation.verdicts.len(), evaluation.scores.len());
    if verdicts != expected(Hooks::FILTER) {
        let expected = expected(Hooks::FILTER);
        return Err(format!(
            "running {name:?} filter plugin: it answered for {verdicts} nodes and was asked about {expected}"
        ));
    }
    if scores != expected(Hooks::SCORE) {
        let expected = expected(Hooks::SCORE);
        return Err(format!(
            "running Score plugins: plugin {name:?} failed with: it scored {scores} nodes and was asked about \
             {expected}"
        ));
    }
    let reasons = evaluation.reasons.len();
    match evaluation
        .verdicts
        .iter()
        .find(|verdict| usize::from(**verdict) > reasons)
    {
        Some(verdict) => Err(format!(
            "running {name:?} filter plugin: it gave no reason number {verdict}"
        )),
        None => Ok(evaluation),
    }
}

/// Scores from 0 to 100.
///
/// # Errors
/// Names the plugin and a score that is out of range.
pub(super) fn scaled(name: &str, mut scores: Vec<i64>, normalize: Normalize) -> Result<Vec<i64>, String> {
    let invalid = |score: i64| {
        format!(
            "running Score plugins: plugin {name:?} returns an invalid score {score}, it should be in the range \
             of [0, {MAX_SCORE}] after normalizing"
        )
    };
    let highest = scores.iter().copied().max().unwrap_or(0);
    let bounds = match normalize {
        Normalize::None => 0..=MAX_SCORE,
        // Larger ones could not be scaled without overflow.
        _ => 0..=i64::MAX / MAX_SCORE,
    };
    if let Some(score) = scores.iter().find(|score| !bounds.contains(score)) {
        return Err(invalid(*score));
    }
    for score in &mut scores {
        *score = match normalize {
            Normalize::None => *score,
            Normalize::HighestIsBest => default_normalize(*score, highest),
            Normalize::LowestIsBest => reverse_normalize(*score, highest),
        };
    }
    Ok(scores)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_scaled_as_the_plugin_says() {
        let scaled = |normalize| scaled("X", vec![0, 10, 40], normalize);
        assert_eq!(scaled(Normalize::None).unwrap(), [0, 10, 40]);
        assert_eq!(scaled(Normalize::HighestIsBest).unwrap(), [0, 25, 100]);
        assert_eq!(scaled(Normalize::LowestIsBest).unwrap(), [100, 75, 0]);
    }

    #[test]
    fn scores_out_of_range_are_named() {
        let text = "running Score plugins: plugin \"X\" returns an invalid score";
        for (score, normalize) in [
            (101, Normalize::None),
            (-1, Normalize::None),
            (-1, Normalize::LowestIsBest),
            (i64::MAX, Normalize::HighestIsBest),
        ] {
            let error = scaled("X", vec![5, score], normalize).unwrap_err();
            assert!(error.starts_with(&format!("{text} {score},")), "{error}");
        }
    }

    #[test]
    fn answers_to_other_questions_are_refused() {
        let evaluation = |verdicts: &[u16], scores: &[i64]| Evaluation {
            verdicts: verdicts.to_vec(),
            reasons: vec!["no".to_owned()],
            scores: scores.to_vec(),
            ..Evaluation::default()
        };
        let both = Hooks::FILTER.or(Hooks::SCORE);
        check("X", evaluation(&[0, 1], &[1, 2]), 2, both).unwrap();
        let refused = |evaluation, asked, text: &str| {
            assert_eq!(check("X", evaluation, 2, asked).unwrap_err(), text);
        };
        refused(
            evaluation(&[0], &[1, 2]),
            both,
            "running \"X\" filter plugin: it answered for 1 nodes and was asked about 2",
        );
        refused(
            evaluation(&[0, 0], &[1, 2, 3]),
            both,
            "running Score plugins: plugin \"X\" failed with: it scored 3 nodes and was asked about 2",
        );
        refused(
            evaluation(&[0, 0], &[1, 2]),
            Hooks::FILTER,
            "running Score plugins: plugin \"X\" failed with: it scored 2 nodes and was asked about 0",
        );
        refused(
            evaluation(&[0, 2], &[1, 2]),
            both,
            "running \"X\" filter plugin: it gave no reason number 2",
        );
        let rejection = Evaluation {
            rejection: Some("no".to_owned()),
            ..Evaluation::default()
        };
        check("X", rejection.clone(), 2, Hooks::PRE_FILTER).unwrap();
        refused(
            rejection,
            both,
            "running PreFilter plugin \"X\": it rejects the pod without being asked",
        );
    }
}

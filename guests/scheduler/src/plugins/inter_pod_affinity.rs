//! InterPodAffinity: its reasons and its normalisation.

use super::MAX_SCORE;

/// Why a node is out: no pod that this one wants to be with.
pub(crate) const AFFINITY: &str = "node(s) didn't match pod affinity rules";
/// Why a node is out: a pod that this one avoids.
pub(crate) const ANTI_AFFINITY: &str = "node(s) didn't match pod anti-affinity rules";
/// Why a node is out: a pod that avoids this one.
pub(crate) const EXISTING_ANTI_AFFINITY: &str = "node(s) didn't satisfy existing pods anti-affinity rules";

/// What an existing pod's required affinity term adds to the score of its domain.
pub(crate) const HARD_POD_AFFINITY_WEIGHT: i64 = 1;

/// The final score; in floating point, in upstream's order of operations.
pub(crate) fn normalize(raw: i64, lowest: i64, highest: i64) -> i64 {
    let range = highest - lowest;
    if range <= 0 {
        return 0;
    }
    (MAX_SCORE as f64 * ((raw - lowest) as f64 / range as f64)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_spread_over_the_whole_range() {
        assert_eq!(
            (normalize(-5, -5, 15), normalize(15, -5, 15), normalize(5, -5, 15)),
            (0, 100, 50)
        );
        assert_eq!(normalize(29, 0, 100), 28);
        assert_eq!(normalize(7, 7, 7), 0);
    }
}

//! How servers stand to each other. A shared machine gets faster and slower within seconds, so each is compared with
//! the others of the same round, and the rounds are what is averaged.

use bench::program::median;
use serde::Serialize;

/// A server beside the best one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Standing {
    /// Of the best: the median of the rounds, in each of which it is compared with all. 1 is the best.
    pub ratio: f64,
    /// The standard error of that, as a fraction of it; `None` with a single round.
    pub ratio_error: Option<f64>,
}

/// For each server, by a figure of each of its rounds, of which more is better. Rounds that some have missed count for
/// those who have not.
pub fn standings(servers: &[Vec<f64>]) -> Vec<Standing> {
    let rounds = servers.iter().map(Vec::len).max().unwrap_or(0);
    let full: Vec<&Vec<f64>> = servers.iter().filter(|figures| figures.len() == rounds).collect();
    // Of those that were there all the time: otherwise it would change when one of them leaves.
    let usual: Vec<f64> = (0..rounds)
        .map(|round| full.iter().map(|figures| figures[round].ln()).sum::<f64>() / full.len() as f64)
        .collect();
    let logs: Vec<Vec<f64>> = servers
        .iter()
        .map(|figures| figures.iter().zip(&usual).map(|(figure, usual)| figure.ln() - usual).collect())
        .collect();
    let medians: Vec<f64> =
        logs.iter().map(|logs| median(logs.clone()).unwrap_or(f64::NEG_INFINITY)).collect();
    let best = medians.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let standing = |(logs, median): (&Vec<f64>, &f64)| Standing {
        ratio: (median - best).exp(),
        ratio_error: error_of_median(logs),
    };
    logs.iter().zip(&medians).map(standing).collect()
}

/// The standard error of a median of values that are spread normally: the mean's, times the root of half of pi.
fn error_of_median(values: &[f64]) -> Option<f64> {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (values.len() > 1).then(|| (squares / (count - 1.0) / count).sqrt() * std::f64::consts::FRAC_PI_2.sqrt())
}

#[cfg(test)]
mod tests {
    use super::{Standing, standings};

    fn ratios(servers: &[Vec<f64>]) -> Vec<f64> {
        standings(servers).iter().map(|standing| (standing.ratio * 1e6).round() / 1e6).collect()
    }

    #[test]
    fn a_machine_that_changes_its_speed_changes_no_ratio() {
        let servers = [vec![50.0, 500.0, 5.0], vec![100.0, 1000.0, 10.0]];
        assert_eq!(ratios(&servers), [0.5, 1.0]);
        let error = standings(&servers)[0].ratio_error.unwrap();
        assert!(error < 1e-12, "{error}");
    }

    #[test]
    fn one_bad_round_changes_little_and_shows_as_an_error() {
        let servers = [vec![100.0, 100.0, 20.0, 100.0, 100.0], vec![50.0; 5]];
        assert_eq!(ratios(&servers), [1.0, 0.5]);
        assert!(standings(&servers)[0].ratio_error.unwrap() > 0.1);
    }

    #[test]
    fn who_left_early_is_compared_in_the_rounds_it_had() {
        let servers = [vec![40.0], vec![50.0, 500.0], vec![100.0, 1000.0], vec![]];
        assert_eq!(ratios(&servers), [0.4, 0.5, 1.0, 0.0]);
        assert_eq!(standings(&servers)[0].ratio_error, None);
    }

    #[test]
    fn none_and_one_have_standings() {
        assert_eq!(standings(&[]), []);
        assert_eq!(standings(&[vec![3.0]]), [Standing { ratio: 1.0, ratio_error: None }]);
    }
}

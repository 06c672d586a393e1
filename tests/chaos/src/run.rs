//! A run: as many rounds as its time holds, each with a suite of its own.

use std::{path::PathBuf, time::Duration};

use anyhow::Result;

use crate::{faults::Kind, mutation::Mutation, report::Report, round::play};

/// The longest that faults go on in one round; what is in memory and in the databases stays small,
/// and a finding can be repeated soon.
const ROUND_LIMIT: Duration = Duration::from_secs(5 * 60);
/// A mutation is only shown few faults, since its round ends when it is caught and begins anew when
/// it is not.
const MUTATION_ROUND: Duration = Duration::from_secs(4);

#[derive(Debug, Clone)]
pub struct Settings {
    /// Everything that is drawn follows from it; the second round's is one more, and so on.
    pub seed: u64,
    /// How long faults go on, over all rounds.
    pub faults_last: Duration,
    /// The promise that the services break on purpose.
    pub mutation: Option<Mutation>,
    /// The one kind of fault that is done; all, if none.
    pub only: Option<Kind>,
    /// The folder for data, credentials and logs.
    pub data: PathBuf,
    /// Told of every step and of progress.
    pub say: fn(&str),
}

/// Plays all rounds. With a mutation it ends when that is caught.
pub async fn run(settings: &Settings) -> Result<Report> {
    let mut report = Report::new(settings.seed, settings.mutation);
    let mut left = settings.faults_last;
    let longest = settings.mutation.map_or(ROUND_LIMIT, |_| MUTATION_ROUND);
    for number in 0.. {
        let seed = settings.seed.wrapping_add(number);
        let faults_last = left.min(longest);
        left -= faults_last;
        (settings.say)(&format!("Round {}, seed {seed}.", number + 1));
        let of_round = Settings {
            seed,
            faults_last,
            data: settings.data.join(format!("round-{seed}")),
            ..settings.clone()
        };
        let round = play(&of_round).await?;
        report.rounds.push(round);
        let is_caught = settings.mutation.is_some() && report.holds();
        if left.is_zero() || is_caught {
            break;
        }
    }
    Ok(report)
}

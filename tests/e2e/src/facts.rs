//! Several facts, held one after the other on one running suite. Each fails by itself and is named.

use std::panic::AssertUnwindSafe;

use anyhow::{Result, ensure};
use futures_util::FutureExt as _;

#[derive(Debug, Default)]
pub struct Facts {
    failed: Vec<String>,
}

impl Facts {
    /// Holds one fact; those after it are held whatever becomes of it.
    pub async fn hold(&mut self, name: &str, fact: impl Future<Output = Result<()>>) {
        // Printed at once, since a suite that takes too long is ended before it can tell.
        println!("Does it hold: {name}");
        let failed = match AssertUnwindSafe(fact).catch_unwind().await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => format!("{name}: {error:#}"),
            Err(_) => format!("{name}: it panicked, see above"),
        };
        println!("{failed}");
        self.failed.push(failed);
    }

    /// Fails with the names of all that do not hold.
    pub fn end(self) -> Result<()> {
        ensure!(self.failed.is_empty(), "\n{}", self.failed.join("\n"));
        Ok(())
    }
}

/// Holds functions from a suite to `Result<()>`, named as facts, one after the other, and ends the
/// suite. Each begins with all replicas up, whatever the one before has left paused or dead.
#[macro_export]
macro_rules! hold {
    ($suite:expr; $($fact:ident),+ $(,)?) => {{
        let mut suite: $crate::Suite = $suite;
        let mut facts = $crate::Facts::default();
        $(
            let fact = async {
                tidegate_client::heal(&mut suite.stack).await?;
                $fact(&mut suite).await
            };
            facts.hold(stringify!($fact), fact).await;
        )+
        facts.end()?;
        suite.end().await
    }};
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[tokio::test]
    async fn every_fact_is_held_and_those_that_fail_are_named() {
        let mut facts = Facts::default();
        facts.hold("it is wrong", async { bail!("no") }).await;
        facts
            .hold("it panics", async { panic!("on purpose") })
            .await;
        facts.hold("it is right", async { Ok(()) }).await;
        let failed = facts.end().unwrap_err().to_string();
        assert_eq!(
            failed,
            "\nit is wrong: no\nit panics: it panicked, see above"
        );
        assert!(Facts::default().end().is_ok());
    }
}

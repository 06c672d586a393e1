use anyhow::Result;
use tidegate_local::stack::{Service, Stack};

/// All replicas of a stack by name.
pub fn replicas(stack: &Stack) -> Vec<(Service, String)> {
    let replicas = stack.replicas().iter();
    replicas
        .map(|replica| (replica.service(), replica.name().to_owned()))
        .collect()
}

/// Lets whatever is paused go on, and starts whatever does not run.
pub async fn heal(stack: &mut Stack) -> Result<()> {
    stack.postgres_mut().start().await?;
    let mut replicas = replicas(stack);
    // Each service after those that it calls.
    replicas.sort();
    for (_, name) in replicas {
        if stack.replica(&name)?.process_id().is_none() {
            stack.restart(&name).await?;
        } else {
            stack.resume(&name)?;
        }
    }
    Ok(())
}

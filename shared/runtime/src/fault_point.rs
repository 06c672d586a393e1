//! A fault point of every supervised task, in test builds only.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::sleep;

/// Names a folder in which each task makes an empty file of its name. A task whose file is removed
/// panics.
const FOLDER_VARIABLE: &str = "TIDEGATE_TASK_FILES";
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Runs a task that panics when its file is removed.
pub(crate) fn or_panic<Task>(
    name: &str,
    task: Task,
) -> impl Future<Output = ()> + Send + 'static + use<Task>
where
    Task: Future<Output = ()> + Send + 'static,
{
    let file = std::env::var_os(FOLDER_VARIABLE)
        .map(|folder| PathBuf::from(folder).join(name.replace(' ', "-")));
    async move {
        tokio::select! {
            () = task => {}
            () = until_removed(file) => panic!("its fault point was hit"),
        }
    }
}

async fn until_removed(file: Option<PathBuf>) {
    let Some(file) = file.filter(|file| is_made(file)) else {
        return std::future::pending().await;
    };
    while file.exists() {
        sleep(LOOK_INTERVAL).await;
    }
}

fn is_made(file: &Path) -> bool {
    let made = fs::write(file, "");
    if let Err(error) = &made {
        tracing::error!(file = %file.display(), %error, "a fault point cannot be made");
    }
    made.is_ok()
}

//! Lists that services answer page by page.

use crate::{calls::Call, failure::Failure, session::Session};

/// Lists end here: a filter is of more use than more lines.
const MOST_LISTED: usize = 10_000;

/// Things of a list, up to so many, and whether there would be more. `things` takes a page apart: what
/// is on it, and the token of the next.
pub async fn first<M: Call, T>(
    session: &Session,
    most: usize,
    ask: impl Fn(String) -> M,
    things: impl Fn(M::Answer) -> (Vec<T>, String),
) -> Result<(Vec<T>, bool), Failure> {
    collected(most, async |token| {
        Ok(things(session.call(ask(token)).await?))
    })
    .await
}

/// All of a list, or as much of it as is listed; says so if there would be more.
pub async fn all<M: Call, T>(
    session: &Session,
    ask: impl Fn(String) -> M,
    things: impl Fn(M::Answer) -> (Vec<T>, String),
) -> Result<Vec<T>, Failure> {
    let (things, are_more) = first(session, MOST_LISTED, ask, things).await?;
    if are_more {
        eprintln!("Only the first {MOST_LISTED} are listed: there are more. Filter them.");
    }
    Ok(things)
}

/// A page may hold fewer things than asked for, or none, and not be the last: only an empty token says
/// that.
async fn collected<T>(
    most: usize,
    page: impl AsyncFn(String) -> Result<(Vec<T>, String), Failure>,
) -> Result<(Vec<T>, bool), Failure> {
    let (mut things, mut token) = (Vec::new(), String::new());
    loop {
        let (more, next) = page(token).await?;
        things.extend(more);
        token = next;
        if token.is_empty() || things.len() >= most {
            let are_more = !token.is_empty() || things.len() > most;
            things.truncate(most);
            return Ok((things, are_more));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three pages, the second of which is empty.
    async fn page(token: String) -> Result<(Vec<u8>, String), Failure> {
        Ok(match token.as_str() {
            "" => (vec![1, 2], "b".to_owned()),
            "b" => (vec![], "c".to_owned()),
            _ => (vec![3], String::new()),
        })
    }

    #[tokio::test]
    async fn an_empty_page_is_not_the_last() {
        let all = collected(MOST_LISTED, page).await.unwrap();
        assert_eq!(all, (vec![1, 2, 3], false));
    }

    #[tokio::test]
    async fn a_list_that_is_cut_short_says_so() {
        assert_eq!(collected(1, page).await.unwrap(), (vec![1], true));
        assert_eq!(collected(3, page).await.unwrap(), (vec![1, 2, 3], false));
    }
}

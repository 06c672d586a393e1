use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    sync::{mpsc, oneshot},
    time::{sleep_until, timeout, timeout_at},
};

/// Questions begin at least this far apart, however many callers wait.
const MIN_INTERVAL: Duration = Duration::from_millis(20);
/// A question that is not answered by then is given up, and the next one may begin.
const MAX_QUESTION: Duration = Duration::from_secs(1);
/// While a question has been open for longer than this, nobody else begins to wait behind it.
const PATIENCE: Duration = Duration::from_millis(250);

/// What many callers want to know of an owner, asked together.
///
/// An answer counts for those who asked before its question was sent, so that it is never older than
/// their call. One question is open at a time: a flood costs the owner as much as a few callers do.
pub struct Questions<Key, Answer> {
    waiting: mpsc::Sender<Waiting<Key, Answer>>,
    open_since: OpenSince,
}

impl<Key, Answer> Clone for Questions<Key, Answer> {
    fn clone(&self) -> Self {
        Self {
            waiting: self.waiting.clone(),
            open_since: self.open_since.clone(),
        }
    }
}

/// How much is asked and waited for.
#[derive(Debug, Clone, Copy)]
pub struct QuestionLimits {
    /// Callers that wait at once.
    pub callers: usize,
    /// Keys of one question.
    pub keys: usize,
}

/// The owner said nothing, or there was no room to wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the owner has not answered")]
pub struct Unanswered;

struct Waiting<Key, Answer> {
    key: Key,
    reply: oneshot::Sender<Option<Answer>>,
}

#[derive(Clone, Default)]
struct OpenSince(Arc<Mutex<Option<Instant>>>);

impl OpenSince {
    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Key, Answer> Questions<Key, Answer>
where
    Key: Eq + Hash + Clone + Send + 'static,
    Answer: Clone + Send + 'static,
{
    /// The task that asks comes with it, which the caller runs. `ask` tells what the owner said of
    /// each key; a key that it leaves out has no answer, and without any answer it tells nothing.
    pub fn new<Asking, Ask>(
        limits: QuestionLimits,
        ask: Ask,
    ) -> (
        Self,
        impl Future<Output = ()> + Send + use<Key, Answer, Asking, Ask>,
    )
    where
        Ask: Fn(Vec<Key>) -> Asking + Send + 'static,
        Asking: Future<Output = HashMap<Key, Answer>> + Send + 'static,
    {
        let (sender, receiver) = mpsc::channel(limits.callers);
        let open_since = OpenSince::default();
        let task = run(receiver, open_since.clone(), limits.keys, ask);
        let questions = Self {
            waiting: sender,
            open_since,
        };
        (questions, task)
    }

    /// What the owner says of `key` in answer to a question that is sent after this call.
    pub async fn ask(&self, key: Key, until: Instant) -> Result<Answer, Unanswered> {
        let open_since = *self.open_since.lock();
        if open_since.is_some_and(|since| since.elapsed() > PATIENCE) {
            return Err(Unanswered);
        }
        let (reply, answer) = oneshot::channel();
        self.waiting
            .try_send(Waiting { key, reply })
            .map_err(|_| Unanswered)?;
        let until = until.min(Instant::now() + MAX_QUESTION);
        match timeout_at(until.into(), answer).await {
            Ok(Ok(Some(answer))) => Ok(answer),
            Ok(Ok(None) | Err(_)) | Err(_) => Err(Unanswered),
        }
    }
}

async fn run<Key, Answer, Asking>(
    mut receiver: mpsc::Receiver<Waiting<Key, Answer>>,
    open_since: OpenSince,
    max_keys: usize,
    ask: impl Fn(Vec<Key>) -> Asking,
) where
    Key: Eq + Hash + Clone,
    Answer: Clone,
    Asking: Future<Output = HashMap<Key, Answer>>,
{
    let mut next_at = Instant::now();
    while let Some(first) = receiver.recv().await {
        sleep_until(next_at.into()).await;
        let mut callers: HashMap<Key, Vec<_>> = HashMap::new();
        callers.entry(first.key).or_default().push(first.reply);
        while callers.len() < max_keys
            && let Ok(next) = receiver.try_recv()
        {
            callers.entry(next.key).or_default().push(next.reply);
        }
        callers.retain(|_, replies| replies.iter().any(|reply| !reply.is_closed()));
        if callers.is_empty() {
            continue;
        }
        let began = Instant::now();
        *open_since.lock() = Some(began);
        let keys = callers.keys().cloned().collect();
        let answers = timeout(MAX_QUESTION, ask(keys)).await.unwrap_or_default();
        *open_since.lock() = None;
        next_at = began + MIN_INTERVAL;
        for (key, replies) in callers {
            let answer = answers.get(&key);
            for reply in replies {
                // A caller that has gone does not need the answer.
                let _ = reply.send(answer.cloned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::{sync::Notify, time::sleep};

    use super::*;

    const LIMITS: QuestionLimits = QuestionLimits {
        callers: 100,
        keys: 3,
    };

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    /// An owner that counts its questions, and answers each key with their number once it is let.
    fn owner(gate: Arc<Notify>) -> (Questions<u32, usize>, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let counting = Arc::clone(&asked);
        let (questions, asking) = Questions::new(LIMITS, move |keys: Vec<u32>| {
            let number = counting.fetch_add(1, Ordering::Relaxed) + 1;
            let gate = Arc::clone(&gate);
            async move {
                gate.notified().await;
                keys.into_iter().map(|key| (key, number)).collect()
            }
        });
        tokio::spawn(asking);
        (questions, asked)
    }

    #[tokio::test]
    async fn an_answer_counts_for_those_who_asked_before_its_question_was_sent_and_no_others() {
        let gate = Arc::new(Notify::new());
        let (questions, asked) = owner(Arc::clone(&gate));
        let ask = |key| {
            let questions = questions.clone();
            tokio::spawn(async move { questions.ask(key, soon()).await })
        };
        let first = ask(1);
        while asked.load(Ordering::Relaxed) == 0 {
            sleep(Duration::from_millis(1)).await;
        }
        let late: Vec<_> = (0..20).map(|_| ask(1)).collect();
        sleep(Duration::from_millis(5)).await;
        gate.notify_one();
        assert_eq!(first.await.unwrap(), Ok(1));
        gate.notify_one();
        for late in late {
            assert_eq!(late.await.unwrap(), Ok(2), "all of them share one question");
        }
    }

    #[tokio::test]
    async fn nobody_waits_long_for_an_owner_that_is_silent_and_the_next_question_is_asked() {
        let gate = Arc::new(Notify::new());
        let (questions, _) = owner(Arc::clone(&gate));
        let first = questions.clone();
        let first = tokio::spawn(async move { first.ask(1, soon()).await });
        sleep(PATIENCE + Duration::from_millis(100)).await;
        let began = Instant::now();
        assert_eq!(questions.ask(1, soon()).await, Err(Unanswered));
        assert!(began.elapsed() < PATIENCE);
        assert_eq!(first.await.unwrap(), Err(Unanswered));
        // The question that was given up leaves nothing behind.
        sleep(Duration::from_millis(50)).await;
        gate.notify_one();
        assert!(questions.ask(1, soon()).await.is_ok());
    }

    #[tokio::test]
    async fn a_question_has_a_bounded_number_of_keys() {
        let most = Arc::new(AtomicUsize::new(0));
        let noting = Arc::clone(&most);
        let (questions, asking) = Questions::new(LIMITS, move |keys: Vec<u32>| {
            noting.fetch_max(keys.len(), Ordering::Relaxed);
            async move { keys.into_iter().map(|key| (key, ())).collect() }
        });
        tokio::spawn(asking);
        let answers = (0..10).map(|key| {
            let questions = questions.clone();
            tokio::spawn(async move { questions.ask(key, soon()).await })
        });
        let answers: Vec<_> = answers.collect();
        for answer in answers {
            assert_eq!(answer.await.unwrap(), Ok(()));
        }
        assert_eq!(most.load(Ordering::Relaxed), LIMITS.keys);
    }
}

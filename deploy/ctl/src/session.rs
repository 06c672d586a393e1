//! Calls to the suite's services, as staff or as a chatbot's backend.

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tidegate_auth::{Identity, PeerRequirement, TlsFiles, TlsIdentity};
use tidegate_rpc::{client::channel, refusal::from_status};
use tidegate_types::Retry;
use tokio::time::sleep;
use tonic::{Code, Request, Response, Status, metadata::AsciiMetadataValue, transport::Channel};

use crate::{calls::Call, context::Context, failure::Failure};

/// The longest deadline that services take notice of.
const MAX_DEADLINE: Duration = Duration::from_secs(10);
const TRACEPARENT: &str = "traceparent";
const PAUSE_BEFORE_RETRY: Duration = Duration::from_millis(200);

pub struct Session {
    context: Context,
    tls: Arc<TlsIdentity>,
    /// How long one command's call may take, with all its retries.
    patience: Duration,
}

impl Session {
    pub fn new(context: Context, patience: Duration) -> Result<Self, Failure> {
        let files = TlsFiles {
            ca: context.ca_file.clone(),
            certificate: context.certificate_file.clone(),
            key: context.key_file.clone(),
        };
        let tls = TlsIdentity::load(&files, PeerRequirement::Certificate)
            .map_err(|error| Failure::Usage(error.to_string()))?;
        Ok(Self {
            context,
            tls: Arc::new(tls),
            patience,
        })
    }

    pub fn context(&self) -> &Context {
        &self.context
    }

    pub fn tls(&self) -> &TlsIdentity {
        &self.tls
    }

    pub fn addresses(&self, service: Identity) -> &[String] {
        match service {
            Identity::Gateway => &self.context.gateway,
            Identity::Quota => &self.context.quota,
            Identity::Issuance => &self.context.issuance,
            Identity::OrderIntake => &self.context.order_intake,
            Identity::Staff | Identity::Chatbot => &[],
        }
    }

    /// A connection to one replica, made at its first call.
    fn channel(&self, service: Identity, address: &str) -> Channel {
        channel(address, service, Arc::clone(&self.tls))
    }

    /// Calls the service that a message is for: the gateway as a chatbot's backend does, for a shopper,
    /// the others with the token of staff. Every write has an id or is the same when repeated, so what
    /// is refused for a moment is tried again, at the next replica, as long as there is time.
    pub async fn call<M: Call>(&self, message: M) -> Result<M::Answer, Failure> {
        let service = M::SERVICE;
        let file = match service {
            Identity::Gateway => self.context.shopper_token_file.as_ref(),
            _ => Some(&self.context.token_file),
        };
        let token = self.token(file.ok_or_else(|| {
            Failure::Usage("the context has no shopper_token_file to claim and order with".into())
        })?)?;
        let until = Instant::now() + self.patience;
        let mut replicas = self.addresses(service).iter().cycle();
        loop {
            let address = replicas.next().ok_or_else(|| no_address(service))?;
            let left = until.saturating_duration_since(Instant::now());
            let request = self.request(message.clone(), &token, left);
            let status = match M::send(self.channel(service, address), request).await {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(status) => status,
            };
            let pause = pause_before_retry(&status).filter(|pause| Instant::now() + *pause < until);
            let Some(pause) = pause else {
                return Err(named(status, service, address).into());
            };
            sleep(pause).await;
        }
    }

    /// One call to one replica, without trying again.
    pub async fn call_at<M: Call>(
        &self,
        (service, address): (Identity, &str),
        message: M,
    ) -> Result<M::Answer, Failure> {
        let token = self.token(&self.context.token_file)?;
        let request = self.request(message, &token, self.patience);
        let answer = M::send(self.channel(service, address), request).await;
        let answer = answer.map_err(|status| named(status, service, address))?;
        Ok(answer.into_inner())
    }

    /// A stream with the token of staff, for as long as it lasts, at the first replica that answers.
    pub async fn stream<Message, Answer, Answering>(
        &self,
        service: Identity,
        message: impl Fn() -> Message,
        send: impl Fn(Channel, Request<Message>) -> Answering,
    ) -> Result<Answer, Failure>
    where
        Answering: Future<Output = Result<Response<Answer>, Status>>,
    {
        let token = self.token(&self.context.token_file)?;
        let mut last = no_address(service);
        for address in self.addresses(service) {
            let request = authorized(message(), &token);
            match send(self.channel(service, address), request).await {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(status) => last = named(status, service, address).into(),
            }
        }
        Err(last)
    }

    fn request<Message>(
        &self,
        message: Message,
        token: &AsciiMetadataValue,
        left: Duration,
    ) -> Request<Message> {
        let mut request = authorized(message, token);
        // Whoever types wants to see what came of it; services record a share of what callers ask for.
        if let Ok(traceparent) = new_traceparent().parse() {
            request.metadata_mut().insert(TRACEPARENT, traceparent);
        }
        request.set_timeout(left.min(MAX_DEADLINE));
        request
    }

    fn token(&self, file: &Path) -> Result<AsciiMetadataValue, Failure> {
        let text = fs::read_to_string(file);
        let text = text.with_context(|| format!("the token {} cannot be read", file.display()))?;
        let mut value: AsciiMetadataValue = format!("Bearer {}", text.trim())
            .parse()
            .map_err(|_| Failure::Usage(format!("{} holds no token", file.display())))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

fn authorized<Message>(message: Message, token: &AsciiMetadataValue) -> Request<Message> {
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert("authorization", token.clone());
    request
}

fn no_address(service: Identity) -> Failure {
    Failure::Usage(format!("the context names no address of {service}"))
}

/// A W3C trace context that begins here and asks to be recorded.
fn new_traceparent() -> String {
    let trace_id = uuid::Uuid::new_v4().simple();
    let span_id = uuid::Uuid::new_v4().as_u64_pair().0;
    format!("00-{trace_id}-{span_id:016x}-01")
}

/// How long to wait before the next try; `None` if another one cannot help.
fn pause_before_retry(status: &Status) -> Option<Duration> {
    if status.code() != Code::Unavailable {
        return None;
    }
    match from_status(status).retry {
        Retry::After(delay) => Some(delay.max(PAUSE_BEFORE_RETRY)),
        Retry::At(_) => None,
        // No connection, and so no reason: another replica may be there.
        Retry::Never => Some(PAUSE_BEFORE_RETRY),
    }
}

/// What the transport says names nobody.
fn named(status: Status, service: Identity, address: &str) -> Status {
    let is_told = tidegate_rpc::refusal::reason_of(&status).is_some();
    if is_told || status.code() != Code::Unavailable {
        return status;
    }
    Status::unavailable(format!(
        "{service} at {address} cannot be reached: {}",
        status.message()
    ))
}

//! Spans and events never hold what is worth money.

use std::{
    fmt::{Debug, Write},
    sync::{Arc, Mutex},
};

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use crate::{
    double::{Diary, SECRET},
    paying::client,
    server::Server,
};

/// Writes down everything that is traced.
#[derive(Clone, Default)]
struct Scribe(Arc<Mutex<String>>);

impl Visit for Scribe {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0.lock().unwrap(), "{}={value:?} ", field.name());
    }
}

impl Subscriber for Scribe {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        span.record(&mut self.clone());
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        values.record(&mut self.clone());
    }
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[tokio::test]
async fn tracing_tells_what_happens_and_not_with_what() {
    let scribe = Scribe::default();
    // For the whole process: scoped subscribers miss what other threads were first to reach. More tests, more to find.
    tracing::subscriber::set_global_default(scribe.clone()).unwrap();
    let server = Server::selling().await;
    client(&Diary::default()).get(server.url("/joke?key=in-the-query")).send().await.unwrap();
    let token = server.log()[1].header("authorization").to_owned();
    let written = scribe.0.lock().unwrap();
    for word in ["payment required", "credential sent", "payment accepted", "127.0.0.1"] {
        assert!(written.contains(word), "{word}: {written}");
    }
    for secret in [SECRET, token.trim_start_matches("Payment "), "in-the-query"] {
        assert!(!secret.is_empty() && !written.contains(secret), "{written}");
    }
}

//! The server: bytes in, a verdict, bytes out.

use axum::{
    Extension, Router,
    body::{Body, to_bytes},
    extract::ConnectInfo,
    http::{
        HeaderValue, Request, Response, StatusCode,
        header::{AUTHORIZATION, CONTENT_TYPE},
    },
};

use super::{
    Call, Shared,
    ask::Incoming,
    form::Form,
    judge::{Answer, Verdict, judge},
    line::{Cut, Line},
    lock,
};

/// No form is longer.
const LONGEST: usize = 1 << 20;

/// Serves until it is dropped.
pub(super) async fn run(line: Line, books: Shared) {
    let app = Router::new().fallback(answer).layer(Extension(books));
    let _ = axum::serve(line, app.into_make_service_with_connect_info::<Cut>()).await;
}

async fn answer(
    ConnectInfo(cut): ConnectInfo<Cut>,
    Extension(books): Extension<Shared>,
    request: Request<Body>,
) -> Response<Body> {
    let Some(incoming) = read(request).await else {
        cut.now();
        return Response::default();
    };
    let verdict = judge(&mut lock(&books), incoming);
    match verdict {
        Verdict::Nothing => {
            cut.now();
            Response::default()
        }
        Verdict::Raw { status, body } => raw(status, body),
        Verdict::Answer { answer, after } => {
            // Whoever hangs up meanwhile has had the work done all the same.
            tokio::time::sleep(after).await;
            told(answer)
        }
    }
}

async fn read(request: Request<Body>) -> Option<Incoming> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, LONGEST).await.ok()?;
    let query = head.uri.query().unwrap_or_default();
    let mut form = Form::read(query.as_bytes());
    form.pairs.extend(Form::read(&body).pairs);
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let authorization = head.headers.get(AUTHORIZATION).map(text);
    let headers = head.headers.iter().filter(|(name, _)| *name != AUTHORIZATION);
    let call = Call {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        headers: headers.map(|(name, value)| (name.to_string(), text(value))).collect(),
        form: form.pairs.clone(),
    };
    Some(Incoming { call, authorization, form })
}

fn told(answer: Answer) -> Response<Body> {
    let mut response = Response::new(Body::from(answer.body.to_string()));
    *response.status_mut() = status(answer.status);
    let replayed = answer.replayed.as_ref().map(|_| "true".to_owned());
    let fields = [
        ("content-type", Some("application/json".to_owned())),
        ("request-id", Some(answer.request)),
        ("stripe-version", Some(answer.version)),
        ("idempotency-key", answer.key),
        ("stripe-account", answer.account),
        ("idempotent-replayed", replayed),
        ("original-request", answer.replayed),
    ];
    for (name, value) in fields {
        if let Some(Ok(value)) = value.map(HeaderValue::try_from) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn raw(code: u16, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status(code);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    response
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

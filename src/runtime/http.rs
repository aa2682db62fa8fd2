//! Carries out `http` steps: one request, and what its answer means for the saga. Lives here: everything that knows
//! reqwest. Must not live here: retrying (the retry policy's business), the step's time limits (the attempt's), the
//! expressions that made the request (`definition`).

use std::error::Error;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url, redirect};
use serde_json::{Value, json};

use crate::definition::{HTTP_ACTIVITY, HttpRequest, HttpVerdict, percent_encode};
use crate::model::{Failure, Payload, limits};
use crate::sdk::{Activity, ActivityContext, ActivityDefinition, RegistryError};

use super::secrets::{Revealed, Secrets};

#[cfg(test)]
mod tests;

/// How long a connection may take to come about. Within a data centre it takes milliseconds; a host that drops packets
/// should not eat the whole attempt.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest wait that a service may ask for in `Retry-After`: a typing error there must not park a saga for a year.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// Bytes of an error answer that are kept in the failure's details: enough to see what is wrong, and journaled.
const DETAIL_BYTES_MAX: usize = 4 * 1024;

/// Bytes of an error answer that are read at all.
const ERROR_BODY_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a failure type that a service may choose.
const TYPE_NAME_BYTES_MAX: usize = 100;

const REDIRECTS_MAX: usize = 5;

const IDEMPOTENCY_KEY: &str = "idempotency-key";
const ATTEMPT: &str = "amends-attempt";

/// Headers that the request or the connection sets itself; others' values would contradict them.
const RESERVED_HEADERS: [&str; 6] = [
    IDEMPOTENCY_KEY,
    ATTEMPT,
    "connection",
    "content-length",
    "host",
    "transfer-encoding",
];

/// The activity that carries out `http` steps, to be registered with every engine.
///
/// # Errors
/// Never in practice: the name of the activity is a constant.
pub(crate) fn activity_definition(secrets: Secrets) -> Result<ActivityDefinition, RegistryError> {
    let client = client().map_err(|error| chain(&error));
    ActivityDefinition::new(HTTP_ACTIVITY, HttpActivity { client, secrets })
}

/// The `http` activity. A client that could not be made fails each step with the reason, so that an engine without
/// `http` steps starts all the same.
struct HttpActivity {
    client: Result<Client, String>,
    secrets: Secrets,
}

#[async_trait]
impl Activity for HttpActivity {
    async fn execute(&self, cx: ActivityContext, input: Payload) -> Result<Payload, Failure> {
        let request: HttpRequest = input.to()?;
        let client = self.client.as_ref();
        let client = client.map_err(|reason| Failure::new("HttpConnect", reason))?;
        let mut revealed = self.secrets.for_attempt(&cx);
        let request = filled(request, &mut revealed)?;
        revealed.scrubbed(perform(client, &request, &cx.info().idempotency_key, cx.info().attempt).await)
    }
}

/// The request with its secrets. In a URL they are data like any other, unless it is the URL's beginning: then the secret
/// is where the service is.
fn filled(mut request: HttpRequest, revealed: &mut Revealed) -> Result<HttpRequest, Failure> {
    request.url = revealed.fill_with(&request.url, |value, first| {
        let mut encoded = String::new();
        match first {
            true => encoded.push_str(value),
            false => percent_encode(value, &mut encoded),
        }
        encoded
    })?;
    for value in request.headers.values_mut() {
        *value = revealed.fill(value)?;
    }
    request.body = request.body.map(|body| revealed.fill_value(body)).transpose()?;
    Ok(request)
}

/// The client that all `http` steps of an engine share. It takes no proxy from the environment (a saga's effects must
/// not depend on a shell's variables), keeps no cookies, and follows only redirects that keep method, body and origin.
///
/// # Errors
/// When the TLS set-up fails.
pub(crate) fn client() -> Result<Client, reqwest::Error> {
    let builder = || {
        Client::builder()
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(concat!("amends/", env!("CARGO_PKG_VERSION")))
            .referer(false)
            .redirect(redirect::Policy::custom(follow))
    };
    builder().build().or_else(|error| {
        // A machine without root certificates (a bare container) can still call plain http services; https calls fail
        // one by one, as they should.
        tracing::warn!(error = %chain(&error), "no root certificates found: https steps will fail");
        builder().tls_certs_only([]).build()
    })
}

/// Sends the request once and says what its answer means: the result of the step, or a failure that says whether to try
/// again and whether the service is sure that nothing happened.
///
/// # Errors
/// The step's failure. Its type is what the answer's JSON body calls `type` or `error`, otherwise `Http404` and the like;
/// without an answer `HttpConnect`, `HttpTimeout` or `HttpBroken`; `HttpInvalidRequest` when nothing could be sent;
/// `HttpInvalidResponse` for a success that cannot be used.
pub(crate) async fn perform(client: &Client, request: &HttpRequest, key: &str, attempt: u32) -> Result<Value, Failure> {
    let prepared = prepare(client, request, key, attempt)?;
    let response = prepared.send().await.map_err(|error| no_answer(&error))?;
    if request.verdict(response.status().as_u16()) == HttpVerdict::Success {
        success(response).await
    } else {
        Err(refused(response, request).await)
    }
}

/// Follows 307 and 308 within one origin. Other redirects change a POST into a GET, whose success would be mistaken for
/// the step's; and another host must not get this one's headers.
fn follow(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let keeps_method = matches!(
        attempt.status(),
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT
    );
    let same_origin = attempt
        .previous()
        .last()
        .is_some_and(|previous| previous.origin() == attempt.url().origin());
    if keeps_method && same_origin && attempt.previous().len() <= REDIRECTS_MAX {
        attempt.follow()
    } else {
        attempt.stop()
    }
}

fn prepare(client: &Client, request: &HttpRequest, key: &str, attempt: u32) -> Result<RequestBuilder, Failure> {
    let method = match request.method.as_str() {
        "GET" => Method::GET,
        "POST" => Method::POST,
        "PUT" => Method::PUT,
        "PATCH" => Method::PATCH,
        "DELETE" => Method::DELETE,
        "HEAD" => Method::HEAD,
        "OPTIONS" => Method::OPTIONS,
        other => {
            return Err(unsendable(format!(
                "the method {other:?} is not one of GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS"
            )));
        }
    };
    let url = Url::parse(&request.url).map_err(|error| unsendable(format!("the url is not one: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        let scheme = url.scheme();
        return Err(unsendable(format!("the url has scheme {scheme:?}; use http or https")));
    }
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    if request.body.is_some() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    for (name, value) in &request.headers {
        let parsed = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| unsendable(format!("{name:?} cannot be the name of a header")))?;
        if RESERVED_HEADERS.contains(&parsed.as_str()) {
            return Err(unsendable(format!(
                "the header {name:?} is set by amends; leave it out"
            )));
        }
        headers.insert(parsed, header_value(name, value)?);
    }
    headers.insert(IDEMPOTENCY_KEY, header_value("Idempotency-Key", key)?);
    headers.insert(ATTEMPT, HeaderValue::from(attempt));
    let mut prepared = client.request(method, url).headers(headers);
    if let Some(body) = &request.body {
        prepared = prepared.body(body.to_string());
    }
    Ok(prepared)
}

/// The value, unless it has a line break or another control character, with which input could smuggle in further headers.
fn header_value(name: &str, value: &str) -> Result<HeaderValue, Failure> {
    HeaderValue::from_str(value).map_err(|_| {
        unsendable(format!(
            "the header {name:?} has a line break or another control character"
        ))
    })
}

/// Nothing was sent, in no attempt: each of them is prepared from the same values.
fn unsendable(message: String) -> Failure {
    Failure::not_applied("HttpInvalidRequest", message)
}

/// No complete answer came: whether the service did anything is unknown.
fn no_answer(error: &reqwest::Error) -> Failure {
    if error.is_builder() {
        return unsendable(chain(error));
    }
    let type_name = match () {
        () if error.is_connect() => "HttpConnect",
        () if error.is_timeout() => "HttpTimeout",
        () => "HttpBroken",
    };
    Failure::new(type_name, chain(error))
}

/// The error and its causes on one line, without the URL: its query may hold secrets, and the step is known anyway.
fn chain(error: &reqwest::Error) -> String {
    let mut text = if error.is_connect() {
        "cannot connect".to_owned()
    } else if error.is_timeout() {
        "no answer in time".to_owned()
    } else if error.is_builder() {
        "the request cannot be made".to_owned()
    } else {
        "the connection broke".to_owned()
    };
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

async fn success(response: Response) -> Result<Value, Failure> {
    let status = response.status();
    // The step had its effect, so neither of these is "not applied": its compensation will run.
    let unusable = |what: String| Failure::non_retryable("HttpInvalidResponse", format!("{status}, but {what}"));
    let is_json = content_type(&response).is_some_and(|kind| kind.ends_with("/json") || kind.ends_with("+json"));
    let (body, complete) = read(response, limits::PAYLOAD_BYTES_MAX)
        .await
        .map_err(|error| no_answer(&error))?;
    if !complete {
        let max = limits::PAYLOAD_BYTES_MAX;
        return Err(unusable(format!("the answer has more than {max} bytes")));
    }
    if body.is_empty() {
        return Ok(Value::Null);
    }
    match serde_json::from_slice(&body) {
        Ok(value) => Ok(value),
        Err(error) if is_json => Err(unusable(format!(
            "the answer is not the JSON that it claims to be: {error}"
        ))),
        Err(_) => match String::from_utf8(body) {
            Ok(text) => Ok(Value::String(text)),
            Err(_) => Err(unusable("the answer is neither JSON nor text".to_owned())),
        },
    }
}

async fn refused(response: Response, request: &HttpRequest) -> Failure {
    let status = response.status();
    let code = status.as_u16();
    let retry_after = retry_after(response.headers());
    let location = response
        .headers()
        .get("location")
        .and_then(|value| value.to_str().ok())
        .map(|location| format!(", a redirect to {location} that is not followed"));
    // An error answer that breaks off is an error answer all the same.
    let (body, _) = read(response, ERROR_BODY_BYTES_MAX).await.unwrap_or_default();
    let json: Option<Value> = serde_json::from_slice(&body).ok();
    let type_name = json
        .as_ref()
        .and_then(type_name)
        .unwrap_or_else(|| format!("Http{code}"));
    let said = json
        .as_ref()
        .and_then(|json| json.get("message"))
        .and_then(Value::as_str);
    let message = match said {
        Some(said) => format!("HTTP {status}: {said}"),
        None => format!("HTTP {status}{}", location.unwrap_or_default()),
    };
    let failure = match request.verdict(code) {
        HttpVerdict::Retryable => {
            let failure = Failure::new(type_name, message);
            retry_after.map_or(failure.clone(), |delay| failure.retry_after(delay))
        }
        HttpVerdict::NotApplied => Failure::not_applied(type_name, message),
        HttpVerdict::Success | HttpVerdict::Failed => Failure::non_retryable(type_name, message),
    };
    match Payload::json(&json!({"status": code, "body": detail(&body, json)})) {
        Ok(details) => failure.with_details(details),
        Err(_) => failure,
    }
}

/// The body of an error answer for the failure's details: as JSON if it is short, otherwise its beginning as text.
fn detail(body: &[u8], json: Option<Value>) -> Value {
    match json {
        Some(json) if body.len() <= DETAIL_BYTES_MAX => json,
        _ if body.is_empty() => Value::Null,
        _ => {
            let beginning = body.get(..DETAIL_BYTES_MAX).unwrap_or(body);
            Value::String(String::from_utf8_lossy(beginning).into_owned())
        }
    }
}

/// What the service calls the problem: `"type"` or `"error"` of its JSON, as far as it looks like a name.
fn type_name(json: &Value) -> Option<String> {
    ["type", "error"]
        .iter()
        .filter_map(|field| json.get(field)?.as_str())
        .find(|name| {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '/');
            !name.is_empty() && name.len() <= TYPE_NAME_BYTES_MAX && name.chars().all(plain)
        })
        .map(str::to_owned)
}

/// `Retry-After` in seconds. The form with a date is not honoured: it would need the wall clock, and two agreeing ones.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

fn content_type(response: &Response) -> Option<String> {
    let text = response.headers().get(CONTENT_TYPE)?.to_str().ok()?;
    let kind = text.split(';').next()?;
    Some(kind.trim().to_ascii_lowercase())
}

/// The body up to `max` bytes, and whether that was all of it.
async fn read(mut response: Response, max: usize) -> Result<(Vec<u8>, bool), reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = max - body.len();
        if chunk.len() > room {
            body.extend(chunk.iter().take(room));
            return Ok((body, false));
        }
        body.extend_from_slice(&chunk);
    }
    Ok((body, true))
}

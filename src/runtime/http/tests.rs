//! `http` steps against a hand-written server on loopback that answers what a test tells it to. Must not live here:
//! anything that leaves the machine.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread::JoinHandle;

use super::super::secrets::Declared;
use super::*;
use crate::model::{Application, FailureKind};

/// A server that answers one request per answer, in order, each on a connection of its own, and gives the requests back.
struct Canned {
    address: SocketAddr,
    requests: JoinHandle<Vec<String>>,
}

impl Canned {
    fn start(answers: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = std::thread::spawn(move || answers.iter().map(|answer| one(&listener, answer)).collect());
        Self { address, requests }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

/// Reads one request, and writes the answer as it is (possibly nothing, or half of one).
fn one(listener: &TcpListener, answer: &str) -> String {
    let (mut stream, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut request = String::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        request.push_str(&line);
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    request.push_str(&String::from_utf8(body).unwrap());
    // The client may have read enough and gone.
    let _ = stream.write_all(answer.as_bytes());
    request
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}")
}

fn request(url: String) -> HttpRequest {
    HttpRequest {
        method: "POST".to_owned(),
        url,
        headers: BTreeMap::from([("X-Tenant".to_owned(), "blue".to_owned())]),
        body: Some(json!({"order": 1})),
        success_statuses: Vec::new(),
        retryable_statuses: vec![429, 503],
        not_applied_statuses: vec![402, 409],
    }
}

/// Sends the usual request to a server with this one answer.
async fn outcome(answer: String) -> Result<Value, Failure> {
    let server = Canned::start(vec![answer]);
    let result = perform(&client().unwrap(), &request(server.url("/x")), "run-1/charge", 3).await;
    server.requests.join().unwrap();
    result
}

fn application(failure: &Failure) -> &Application {
    match &failure.kind {
        FailureKind::Application(application) => application,
        other => panic!("expected an application failure, found {other:?}"),
    }
}

#[tokio::test]
async fn the_request_carries_key_attempt_and_json() {
    let server = Canned::start(vec![answer("200 OK", "", r#"{"charge_id":"c1"}"#)]);
    let result = perform(&client().unwrap(), &request(server.url("/charge")), "run-1/charge", 3).await;
    assert_eq!(result.unwrap(), json!({"charge_id": "c1"}));
    let sent = server.requests.join().unwrap().remove(0);
    assert!(sent.starts_with("POST /charge HTTP/1.1\r\n"), "{sent}");
    for line in [
        "idempotency-key: run-1/charge\r\n",
        "amends-attempt: 3\r\n",
        "content-type: application/json\r\n",
        "x-tenant: blue\r\n",
    ] {
        assert!(sent.contains(line), "{line} in {sent}");
    }
    assert!(sent.ends_with(r#"{"order":1}"#), "{sent}");
}

#[tokio::test]
async fn successes_become_json_text_or_null() {
    for (body, headers, expected) in [
        ("", "", Value::Null),
        ("done", "content-type: text/plain\r\n", json!("done")),
        ("[1]", "content-type: application/json; charset=utf-8\r\n", json!([1])),
    ] {
        assert_eq!(outcome(answer("201 Created", headers, body)).await.unwrap(), expected);
    }
    let failure = outcome(answer("200 OK", "content-type: application/json\r\n", "{oops"))
        .await
        .unwrap_err();
    let details = application(&failure);
    assert!(
        details.non_retryable && !details.not_applied,
        "the step did happen: {failure}"
    );
    assert_eq!(details.type_name, "HttpInvalidResponse");
}

#[tokio::test]
async fn a_success_that_is_too_large_is_not_read_to_its_end() {
    let body = "x".repeat(limits::PAYLOAD_BYTES_MAX + 1);
    let failure = outcome(answer("200 OK", "", &body)).await.unwrap_err();
    assert!(
        failure.is_type("HttpInvalidResponse") && !failure.is_not_applied(),
        "{failure}"
    );
}

#[tokio::test]
async fn statuses_mean_what_the_step_says() {
    let declined = r#"{"type":"CardDeclined","message":"no money"}"#;
    // Status, headers, body; expected type, non-retryable, not applied, delay in seconds.
    for (status, headers, body, expected) in [
        ("402 Payment Required", "", declined, ("CardDeclined", true, true, None)),
        ("409 Conflict", "", "", ("Http409", true, true, None)),
        (
            "400 Bad Request",
            "",
            r#"{"error":"what is this?"}"#,
            ("Http400", true, false, None),
        ),
        (
            "404 Not Found",
            "retry-after: 5\r\n",
            r#"{"error":"gone"}"#,
            ("gone", true, false, None),
        ),
        (
            "503 Service Unavailable",
            "retry-after: 7\r\n",
            "",
            ("Http503", false, false, Some(7)),
        ),
        (
            "429 Too Many Requests",
            "retry-after: 99999999\r\n",
            "",
            ("Http429", false, false, Some(3_600)),
        ),
        (
            "503 Service Unavailable",
            "retry-after: Fri, 31 Dec 1999 23:59:59 GMT\r\n",
            "",
            ("Http503", false, false, None),
        ),
    ] {
        let failure = outcome(answer(status, headers, body)).await.unwrap_err();
        let found = application(&failure);
        let delay = found.next_retry_delay.map(|delay| delay.as_secs());
        assert_eq!(
            (&*found.type_name, found.non_retryable, found.not_applied, delay),
            expected,
            "{status}"
        );
        let details: Value = found.details.as_ref().unwrap().to().unwrap();
        assert!(status.starts_with(&details["status"].to_string()), "{details}");
    }
    let failure = outcome(answer("402 Payment Required", "", declined)).await.unwrap_err();
    assert_eq!(failure.to_string(), "CardDeclined: HTTP 402 Payment Required: no money");
}

#[tokio::test]
async fn details_are_bounded() {
    let body = format!("\"{}\"", "x".repeat(20_000));
    let failure = outcome(answer("500 Internal Server Error", "", &body))
        .await
        .unwrap_err();
    let details = application(&failure).details.as_ref().unwrap();
    assert!(
        details.data().len() < DETAIL_BYTES_MAX + 100,
        "{}",
        details.data().len()
    );
}

#[tokio::test]
async fn no_answer_is_retryable_and_ambiguous() {
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhal".to_owned();
    for (server_says, expected) in [(String::new(), "HttpBroken"), (cut, "HttpBroken")] {
        let failure = outcome(server_says).await.unwrap_err();
        let details = application(&failure);
        assert_eq!(
            (&*details.type_name, details.non_retryable, details.not_applied),
            (expected, false, false)
        );
    }
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let failure = perform(
        &client().unwrap(),
        &request(format!("http://{nobody}/?token=secret")),
        "k",
        1,
    )
    .await;
    let failure = failure.unwrap_err();
    assert!(
        failure.is_type("HttpConnect") && !failure.to_string().contains("secret"),
        "{failure}"
    );
    assert!(!application(&failure).non_retryable);
}

#[tokio::test]
async fn silence_is_a_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let impatient = Client::builder()
        .no_proxy()
        .timeout(Duration::from_millis(20))
        .build()
        .unwrap();
    let failure = perform(&impatient, &request(url), "k", 1).await.unwrap_err();
    assert!(
        failure.is_type("HttpTimeout") && !application(&failure).non_retryable,
        "{failure}"
    );
}

#[tokio::test]
async fn what_cannot_be_sent_was_not_applied() {
    let good = request("http://127.0.0.1:1/".to_owned());
    let with_header = |name: &str, value: &str| HttpRequest {
        headers: BTreeMap::from([(name.to_owned(), value.to_owned())]),
        ..good.clone()
    };
    let cases = [
        (with_header("X-Name", "a\r\nX-Evil: b"), "line break"),
        (with_header("bad name", "a"), "name of a header"),
        (with_header("IDEMPOTENCY-KEY", "mine"), "set by amends"),
        (
            HttpRequest {
                url: "/charge".to_owned(),
                ..good.clone()
            },
            "url",
        ),
        (
            HttpRequest {
                url: "file:///etc/passwd".to_owned(),
                ..good.clone()
            },
            "use http or https",
        ),
        (
            HttpRequest {
                method: "FETCH".to_owned(),
                ..good.clone()
            },
            "not one of GET",
        ),
    ];
    for (request, expected) in cases {
        let failure = perform(&client().unwrap(), &request, "k", 1).await.unwrap_err();
        assert!(
            failure.is_not_applied() && failure.to_string().contains(expected),
            "{failure}"
        );
    }
    let failure = perform(&client().unwrap(), &good, "k\n", 1).await.unwrap_err();
    assert!(failure.is_not_applied(), "{failure}");
}

#[tokio::test]
async fn redirects_keep_method_body_and_origin_or_are_not_followed() {
    let here = answer("307 Temporary Redirect", "location: /moved\r\n", "");
    let server = Canned::start(vec![here, answer("200 OK", "", "true")]);
    let result = perform(&client().unwrap(), &request(server.url("/x")), "k", 1).await;
    assert_eq!(result.unwrap(), json!(true));
    let second = server.requests.join().unwrap().remove(1);
    assert!(
        second.starts_with("POST /moved ") && second.contains("idempotency-key: k"),
        "{second}"
    );

    for (status, location) in [
        ("307 Temporary Redirect", "http://127.0.0.2:9/elsewhere"),
        ("302 Found", "/turns-into-a-get"),
    ] {
        let failure = outcome(answer(status, &format!("location: {location}\r\n"), ""))
            .await
            .unwrap_err();
        let text = failure.to_string();
        assert!(
            application(&failure).non_retryable && text.contains("not followed"),
            "{text}"
        );
    }
}

/// A definition's secrets go where they belong, in the form that belongs there, and come back in no answer.
#[tokio::test]
async fn secrets_are_sent_and_nothing_else_shows_them() {
    let vault = |name: &str| (name == "KEY").then(|| "k/1 & more".to_owned());
    let activity = HttpActivity {
        client: Ok(client().unwrap()),
        secrets: Secrets::new(vault),
    };
    let json = "content-type: application/json\r\n";
    let server = Canned::start(vec![
        answer("200 OK", json, r#"{"echo": "key k/1 & more"}"#),
        answer(
            "500 Oh",
            json,
            r#"{"message": "no k/1 & more", "deep": ["k/1 & more"]}"#,
        ),
    ]);
    let mut secret = request(server.url("/x?key={{amends:secret:KEY}}"));
    let bearer = "Bearer {{amends:secret:KEY}}".to_owned();
    secret.headers.insert("Authorization".to_owned(), bearer);
    secret.body = Some(json!({"key": ["{{amends:secret:KEY}}"]}));
    let input = Payload::json(&secret).unwrap();
    let cx = || {
        ActivityContext::for_test()
            .state(Declared::these(&["KEY", "NONE"].map(str::to_owned)))
            .build()
    };
    let output = activity.execute(cx(), input.clone()).await.unwrap();
    assert_eq!(output.to::<Value>().unwrap(), json!({"echo": "key [secret KEY]"}));
    let failure = activity.execute(cx(), input).await.unwrap_err();
    assert!(failure.message.contains("no [secret KEY]"), "{failure}");
    assert!(!format!("{failure:?}").contains("k/1"), "{failure:?}");
    for sent in server.requests.join().unwrap() {
        assert!(sent.starts_with("POST /x?key=k%2F1%20%26%20more HTTP"), "{sent}");
        assert!(
            sent.contains("Bearer k/1 & more\r\n") && sent.ends_with(r#"{"key":["k/1 & more"]}"#),
            "{sent}"
        );
    }
    secret.url = "http://127.0.0.1:9/{{amends:secret:NONE}}".to_owned();
    let failure = activity
        .execute(cx(), Payload::json(&secret).unwrap())
        .await
        .unwrap_err();
    assert!(
        failure.is_type("SecretMissing") && failure.is_not_applied(),
        "{failure}"
    );
}

//! What is refused, with which replacement, and what must not be.

use super::rules;

/// The refusals for a workflow with this body.
fn refusals(body: &str) -> Vec<String> {
    let function = format!("async fn w(cx: WorkflowContext, input: Input) -> Result<(), Failure> {{ {body} }}");
    in_function(&function)
}

fn in_function(function: &str) -> Vec<String> {
    let function: syn::ItemFn = syn::parse_str(function).unwrap_or_else(|error| panic!("{function}: {error}"));
    match super::check(&function) {
        Ok(()) => Vec::new(),
        Err(error) => error.into_iter().map(|error| error.to_string()).collect(),
    }
}

fn assert_refused(body: &str, instead: &str) {
    let refusals = refusals(body);
    assert!(
        refusals.len() == 1 && refusals.iter().all(|refusal| refusal.contains(instead)),
        "{body}: {refusals:?}"
    );
}

fn assert_good(body: &str) {
    assert_eq!(refusals(body), Vec::<String>::new(), "{body}");
}

#[test]
fn what_is_not_the_same_on_replay_is_refused_with_what_to_write_instead() {
    for (body, instead) in [
        (
            "let t = SystemTime::now();",
            "`SystemTime::now` is not the same on replay: use `cx.now()`",
        ),
        ("let t = std::time::SystemTime::now();", "`cx.now()`"),
        ("let t = ::std::time::Instant::now();", "`cx.now()`"),
        ("let t = option.unwrap_or_else(Instant::now);", "`cx.now()`"),
        ("let t = Utc::now() + chrono::Duration::days(1);", "`cx.now()`"),
        ("let t = chrono::Local::now();", "`cx.now()`"),
        ("let t = Local::now();", "`cx.now()`"),
        ("let n: u8 = rand::random();", "`cx.random()`"),
        ("let n = rand::random::<u8>();", "`cx.random()`"),
        ("let n = rand::thread_rng().gen_range(0..6);", "`cx.random_below(..)`"),
        ("let n = thread_rng().gen_range(0..6);", "`cx.random()`"),
        ("let mut rng = rand::rng();", "`cx.random()`"),
        ("let mut rng = StdRng::from_os_rng();", "`cx.random()`"),
        ("let n = OsRng.next_u64();", "`cx.random()`"),
        ("let n = fastrand::u8(..);", "`cx.random()`"),
        ("let id = Uuid::new_v4();", "`cx.uuid()`"),
        ("let id = uuid::Uuid::now_v7().to_string();", "`cx.uuid()`"),
        ("std::thread::spawn(|| 1);", "an activity"),
        (concat!("thread::", "sleep(Duration::from_secs(1));"), "`cx.sleep(..)`"),
        ("tokio::spawn(async {});", "`join!`"),
        ("tokio::task::spawn_blocking(|| 1).await;", "an activity"),
        ("tokio::time::sleep(Duration::from_secs(1)).await;", "`cx.sleep(..)`"),
        ("tokio::fs::read(\"a\").await;", "in an activity"),
        ("tokio::net::TcpStream::connect(\"a:1\").await;", "in an activity"),
        ("let text = std::fs::read_to_string(\"a\");", "in an activity"),
        ("let text = fs::read_to_string(\"a\");", "in an activity"),
        ("let key = std::env::var(\"KEY\");", "as input"),
        ("let key = env::var(\"KEY\");", "as input"),
        ("let stream = std::net::TcpStream::connect(\"a:1\");", "in an activity"),
        ("std::process::Command::new(\"ls\").status();", "in an activity"),
        ("std::process::exit(1);", "the run ends"),
        ("thread::current().id();", "in an activity"),
        ("std::os::unix::net::UnixStream::connect(\"a\");", "in an activity"),
        ("tokio::io::stdin().read(&mut line).await;", "`cx.signal(..)`"),
    ] {
        assert_refused(body, instead);
    }
}

#[test]
fn imports_inside_of_the_body_are_followed() {
    for body in [
        "use std::time::Instant as Clock; let t = Clock::now();",
        "use tokio::time; time::sleep(second).await;",
        "use tokio::time::{sleep, Duration}; sleep(Duration::from_secs(1)).await;",
        "use rand::random; let n: u8 = random();",
        "use std::fs::{self, File}; File::open(\"a\");",
        "if x { use std::process::Command; Command::new(\"ls\"); }",
    ] {
        assert_eq!(refusals(body).len(), 1, "{body}: {:?}", refusals(body));
    }
}

#[test]
fn everything_is_told_at_once() {
    let body = "let t = SystemTime::now(); for _ in 0..3 { let c = || Uuid::new_v4(); } async move { std::env::var(\"A\") }.await";
    let refusals = refusals(body);
    assert_eq!(refusals.len(), 3, "{refusals:?}");
}

#[test]
fn the_context_is_called_as_the_function_calls_it() {
    let function = "async fn w(context: WorkflowContext) -> R { SystemTime::now() }";
    assert!(in_function(function)[0].ends_with("use `context.now()`, the recorded time of the turn"));
    let function = "async fn w(_: WorkflowContext) -> R { SystemTime::now() }";
    assert!(in_function(function)[0].contains("`cx.now()`"));
}

#[test]
fn macros_are_looked_into() {
    for body in [
        "println!(\"{:?}\", SystemTime::now());",
        "let text = format!(\"{}\", Uuid::new_v4());",
        "let list = vec![rand::random::<u8>(); 3];",
        "let both = join!(a, tokio::time::sleep(b));",
        "my::block! { let t = Instant::now(); t }",
        "select! { biased; _ = tokio::time::sleep(a) => 1, b = c => 2 }",
        "odd!(a => Utc::now() => b)",
        "assert!(map_of(|| std::fs::read(\"a\")).is_ok());",
    ] {
        assert_eq!(refusals(body).len(), 1, "{body}: {:?}", refusals(body));
    }
    for body in [
        "println!(\"SystemTime::now() {}\", n);",
        "let text = stringify!(SystemTime::now());",
        "let key = env!(\"KEY\");",
        "odd!(a.Utc => Utc::nowhere => my::Instant::now(b) )",
        "odd!(=> Local::now(order) <=)",
        "let n = allow_nondeterminism!(\"for the log\", SystemTime::now());",
        "let n = amends::allow_nondeterminism!(\"for the log\", { let t = Instant::now(); t });",
    ] {
        assert_good(body);
    }
}

#[test]
fn a_select_that_chooses_by_chance_is_refused() {
    for body in [
        "tokio::select! { a = b => 1, c = d => 2 }",
        "select! { a = b => 1, c = d => 2 }",
        "futures::select! { a = b => 1, complete => 2 }",
    ] {
        assert_refused(body, "`biased;`");
    }
    for body in [
        "use tokio::select as choose; choose! { a = b => 1, c = d => 2 }",
        "use tokio::select; select! { a = b => 1, c = d => 2 }",
        "if x { use tokio::{join, select as either}; either! { a = b => 1, c = d => 2 } }",
        "use tokio as rt; use rt::select as choose; choose! { a = b => 1, c = d => 2 }",
        "use futures::{self as f}; f::select! { a = b => 1, complete => 2 }",
        "tokio::select! { biased; a = b => tokio::select! { c = d => 1, e = f => 2 }, g = h => 3 }",
        "use tokio::select as choose; odd!(a => choose! { c = d => 1, e = f => 2 } => b)",
    ] {
        assert_eq!(refusals(body).len(), 1, "{body}: {:?}", refusals(body));
        assert_refused(body, "`biased;`");
    }
    assert_good("tokio::select! { biased; a = b => 1, c = d => 2 }");
    assert_good("use tokio::select as choose; choose! { biased; a = b => 1, c = d => 2 }");
    assert_good("use futures::select_biased as select; select! { a = b => 1, c = d => 2 }");
    assert_good("use a as b; use b as a; a! { c = d => 1 }");
    assert_good("odd!(a => stringify!(SystemTime::now()) => b, a != (b) => c)");
    assert_good("select_biased! { a = b => 1, c = d => 2 }");
}

#[test]
fn a_join_that_takes_turns_is_refused() {
    for (body, instead) in [
        ("tokio::join!(a, b);", "`futures_util::join!`"),
        ("let both = tokio::try_join!(a, b)?;", "`futures_util::try_join!`"),
        ("use tokio::join; join!(a, b);", "`futures_util::join!`"),
        (
            "use tokio::try_join as both; futures::join!(a); both!(a, b)?;",
            "`futures_util::try_join!`",
        ),
        ("use tokio::*; let both = join!(a, b);", "`futures_util::join!`"),
        (
            "use tokio as rt; use rt::join as both; both!(a, b);",
            "`futures_util::join!`",
        ),
        (
            "select! { biased; a = b => tokio::join!(c, d), e = f => 2 }",
            "`futures_util::join!`",
        ),
    ] {
        assert_refused(body, instead);
    }
    for body in [
        "tokio::join!(biased; a, b);",
        "futures_util::join!(a, b); futures::try_join!(a, b)?;",
        "use futures_util::join; join!(a, b);",
        "use futures_util::join; use tokio::*; join!(a, b);",
        "my::tokio::join!(a, b);",
    ] {
        assert_good(body);
    }
}

#[test]
fn the_order_of_hash_tables_is_refused_where_it_can_be_seen() {
    for body in [
        "let m = HashMap::new(); for x in &m { f(x).await; }",
        "let m: HashMap<String, u32> = input.into(); for (k, v) in m { f(k, v).await; }",
        "let m = std::collections::HashMap::from([(1, 2)]); for x in m.values() { f(x).await; }",
        "let s: HashSet<u32> = input.set; let v: Vec<_> = s.iter().map(f).collect();",
        "let s = input.list.iter().collect::<HashSet<_>>(); s.into_iter().for_each(f);",
        "let mut m = HashMap::<u8, u8>::with_capacity(4); m.drain().next();",
        "let m: &mut HashMap<u8, u8> = &mut input.map; for x in m.iter_mut() { list.push(x); }",
        "let m = HashMap::from(x); join_all(m.values().map(|x| cx.activity(f, x))).await;",
        "let m = HashMap::from(x); let first = m.keys().next();",
        "let s = HashSet::from([1]); println!(\"{:?}\", s.iter().collect::<Vec<_>>());",
    ] {
        assert_refused(body, "is in another order on each replay: iterate a BTree");
    }
    let parameter = "async fn w(cx: WorkflowContext, m: HashMap<u8, u8>) -> R { for x in m { f(x).await } }";
    assert_eq!(in_function(parameter).len(), 1);
}

#[test]
fn hash_tables_whose_order_does_not_matter_are_good() {
    for body in [
        "let m = HashMap::new(); m.insert(1, 2); if m.contains_key(&1) { m.get(&1) } else { m.len() }",
        "let m = HashMap::from(x); let n: u32 = m.values().sum();",
        "let m = HashMap::from(x); let n = m.values().filter(|n| **n > 1).count();",
        "let m = HashMap::from(x); let sorted = m.into_iter().collect::<BTreeMap<_, _>>(); for x in sorted {}",
        "let m = HashMap::from(x); let mut v: Vec<_> = m.keys().collect(); v.sort(); for k in v {}",
        "let m = HashMap::from(x); let mut v: Vec<_> = m.iter().collect(); v.sort_by_key(|(k, _)| *k);",
        "let m = HashMap::from(x); for k in m.keys().sorted() {}",
        "let m: HashMap<u8, u8, Fixed> = make(); for x in m { f(x); }",
        "let m: BTreeMap<u8, u8> = make(); for x in m { f(x); }",
        "let m: Vec<HashMap<u8, u8>> = make(); for x in m { f(x); }",
        "let m = HashMap::new(); { let m = Vec::new(); for x in m { f(x); } }",
        "let m = HashMap::new(); let m: Vec<u8> = sorted(m); for x in m { f(x); }",
        "let m = HashMap::new(); let f = |m: Vec<u8>| for x in m { f(x); }; match y { Some(m) => for x in m { f(x); }, None => {} }",
        "let m = HashMap::new(); if let Some(m) = y { for x in m { f(x); } }",
        "let m = HashMap::from(x); let sorted: BTreeMap<_, _> = m.into_iter().collect(); for x in sorted {}",
        "let m = HashMap::from(x); let sorted = BTreeMap::from_iter(m.iter()); other.extend(m.keys());",
        "let m = HashMap::from(x); Ok(m.into_iter().collect())",
        "let m = HashMap::from(x); for (k, n) in &m { total += n * k.len(); most = most.max(*n); tree.insert(k, n); }",
        "let m = HashMap::from(x); for n in m.values().filter(|n| **n > 2) { if *n > 4 { big += 1; } else { small += 1; } }",
        "let m = HashMap::from(x); let most = m.iter().max_by_key(|(_, n)| **n);",
        "let iter = list.iter(); for x in iter {}",
        "let (a, m): (u8, HashMap<u8, u8>) = y; a",
    ] {
        assert_good(body);
    }
}

#[test]
fn what_only_looks_similar_is_good() {
    for body in [
        "let t = cx.now(); let n = cx.random(); let id = cx.uuid(); cx.sleep(second).await?;",
        "let t = crate::time::Instant::now();",
        "let t = my::clock::SystemTime::now();",
        "let t = Instant::now(&cx); let l = Local::now(order);",
        "let t = SystemTime::UNIX_EPOCH; let d = Utc::from_utc(t);",
        "let t: Option<std::time::Instant> = None; fn f(x: std::fs::File) {}",
        "let n = random(); let s = spawn(order); let r = rng();",
        "let mut rng = rand::rngs::StdRng::seed_from_u64(cx.random()); let n: u8 = rng.random();",
        "let id = Uuid::parse_str(text)?; let id = Uuid::from_u128(7); let id = Uuid::new_v5(&a, b);",
        "let ip = std::net::Ipv4Addr::LOCALHOST; let a = std::net::SocketAddr::from((ip, 80));",
        "let os = std::env::consts::OS;",
        "let (a, b) = join!(cx.activity(x, &1), cx.activity(y, &2)); tokio::pin!(a);",
        "use std::os::unix::net; let a: net::SocketAddr = b;",
        "let (tx, rx) = tokio::sync::oneshot::channel();",
        "let fs = input.fs; fs.read(1); let env = input.env; env.var(2); process::Step::new(); thread::Message::new();",
        "let code = std::process::ExitCode::SUCCESS;",
        "async fn helper(_cx: ActivityContext) -> R { std::fs::read(\"a\") } cx.activity(helper, &()).await?;",
        "super::fs::read(x); self::tokio::spawn(y); crate::rand::random();",
    ] {
        assert_good(body);
    }
}

/// A rule that can never be broken, or is broken by what is anybody's, is a mistake.
#[test]
fn the_rules_make_sense() {
    for (path, least) in rules::all() {
        let whole: Vec<String> = path
            .iter()
            .map(|name| if *name == "*" { "any" } else { name }.to_owned())
            .collect();
        assert!(rules::broken_by(&whole, rules::Call::Not).is_some(), "{path:?}");
        let named = path.iter().filter(|name| **name != "*").count();
        assert!((1..=named).contains(&least), "{path:?}");
        assert!(least > 1 || whole.iter().any(|name| name.len() > 4), "{path:?}");
    }
}

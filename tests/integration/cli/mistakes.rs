//! Every mistake gets a message that says what to do, and its exit code. Must not live here: what goes well.

use amends::engine::Offline;

use super::{Cli, sagas};

const STEP: &str = "[[step]]\nname = \"a\"\nhttp = { url = \"http://x\" }\ncompensation = \"none\"\n";

/// A step that fails at once: nobody listens there.
fn refused_step() -> String {
    let nobody = STEP.replace("http://x", "http://127.0.0.1:1");
    nobody.replace("http = ", "retry = { maximum_attempts = 1 }\nhttp = ")
}

#[test]
fn bad_definitions_are_refused_by_check_and_run_alike_with_line_and_column() {
    let cases = [
        ("name = \"x\"\n[[step\n".to_owned(), "saga.toml:2:", "not valid TOML"),
        (
            format!("name = \"x\"\nnmae = 1\n{STEP}"),
            "saga.toml:2:1: error: ",
            "unknown key `nmae`",
        ),
        (
            format!(
                "name = \"x\"\n{STEP}after = [\"b\"]\n{}",
                STEP.replace("\"a\"", "\"b\"")
            ),
            "saga.toml:6:",
            "steps wait for each other: a -> b -> a",
        ),
        (
            format!("name = \"x\"\n{}", STEP.replace("\"none\"", "{}")),
            "saga.toml:5:16: error: ",
            "nothing to do: no `activity`, `http` or `exec`",
        ),
        (
            format!("name = \"x\"\n{}", STEP.replace("name = \"a\"", "name = 7")),
            "saga.toml:3:8: error: ",
            "expected a string, found 7",
        ),
        (String::new(), "saga.toml:1:1: error: ", "name"),
    ];
    for (text, place, message) in cases {
        let cli = Cli::new();
        cli.write("saga.toml", &text);
        cli.run(&["check", "saga.toml"]).exits(2).says(place).says(message);
        cli.run(&["run", "saga.toml", "--memory"])
            .exits(2)
            .says(place)
            .says(message)
            .says("error[E0004]");
        let objects = cli.run(&["check", "saga.toml", "--json"]).exits(2).objects();
        assert!(
            objects[0]["line"].is_u64() && objects[0]["column"].is_u64(),
            "{objects:?}"
        );
    }
}

#[test]
fn check_warns_of_a_name_that_is_taken_unless_the_versions_differ() {
    let cli = Cli::new();
    cli.write("a.toml", &format!("name = \"x\"\nversion = \"1\"\n{STEP}"));
    for (version, is_taken) in [("2", false), ("1", true)] {
        cli.write("b.toml", &format!("name = \"x\"\nversion = \"{version}\"\n{STEP}"));
        let checked = cli.run(&["check", "a.toml", "b.toml"]).exits(0);
        let warns = checked.out.contains("a.toml has a saga of the name \"x");
        assert_eq!(warns, is_taken, "{}", checked.out);
    }
}

#[test]
fn check_takes_directories_and_reports_every_file() {
    let cli = Cli::new();
    let shipped = sagas();
    let shipped = shipped.to_str().unwrap();
    cli.run(&["check", shipped])
        .exits(0)
        .says("ok: place-order (4 steps)")
        .says("6 files: 0 errors, 0 warnings");
    let checked = cli.run(&["check", shipped]).exits(0);
    let notes: Vec<&str> = checked
        .out
        .lines()
        .filter(|line| line.contains("runs only in a program"))
        .collect();
    assert!(
        matches!(notes.as_slice(), [note] if note.contains("registers book_flight")),
        "the binary does the rest itself: {notes:?}"
    );
    cli.write("a.toml", &format!("name = \"x\"\nnmae = 1\n{STEP}"));
    cli.write("b.toml", "name = 1");
    cli.run(&["check", "a.toml", "no.toml", "b.toml"])
        .exits(2)
        .says("a.toml:2:1")
        .says("error[E0005]: cannot read no.toml: there is no such file")
        .says("b.toml:1:8");
    cli.run(&["check", "--set", "nope", shipped])
        .exits(2)
        .says("expected KEY=VALUE");
    std::fs::create_dir(cli.path("empty")).unwrap();
    cli.run(&["check", "empty"]).exits(2).says("there is nothing to check");
}

#[test]
fn bad_usage_exits_with_2_and_says_what_to_do() {
    let cli = Cli::new();
    cli.write("saga.toml", &format!("name = \"x\"\n{STEP}"));
    cli.write(
        "rust.toml",
        "name = \"x\"\n[[step]]\nname = \"a\"\nactivity = \"pay\"\ncompensation = \"none\"\n",
    );
    cli.write("big.json", &format!("\"{}\"", "x".repeat(3 * 1024 * 1024)));
    cli.write("binary.toml", "\u{0}");
    std::fs::write(cli.path("latin.toml"), [0xe9]).unwrap();
    let long_id = "i".repeat(300);
    let cases: [(&[&str], &str); 15] = [
        (&[], "Usage: amends <COMMAND>"),
        (&["nonsense"], "unrecognized subcommand"),
        (&["run"], "required arguments"),
        (
            &["run", "no.toml"],
            "error[E0005]: cannot read no.toml: there is no such file",
        ),
        (&["run", "."], "name one definition file"),
        (
            &["run", "latin.toml"],
            "error[E0005]: cannot read latin.toml: it is not UTF-8 text",
        ),
        (&["run", "binary.toml"], "error[E0004]"),
        (
            &["run", "rust.toml"],
            "rust.toml:4:12: error: no activity `pay` is registered",
        ),
        (&["run", "rust.toml"], "runs in the program that registers them"),
        (
            &["run", "saga.toml", "--input", "{oops"],
            "--input is not JSON: key must be a string at line 1 column 2",
        ),
        (
            &["run", "saga.toml", "--input", "@no.json"],
            "error[E0005]: cannot read no.json",
        ),
        (
            &["run", "saga.toml", "--input", "@big.json"],
            "error[E0002]: the payload has",
        ),
        (
            &["run", "saga.toml", "--memory", "--id", &long_id],
            "error[E0001]: a workflow id may have at most 255 bytes",
        ),
        (
            &["run", "saga.toml", "--set", "shop=x"],
            "the override `shop` is not a key of [config]",
        ),
        (&["list", "--status", "sleeping"], "no such status; there are running"),
    ];
    for (arguments, message) in cases {
        cli.run(arguments).exits(2).says(message);
    }
    assert!(!cli.path("amends-data").exists(), "nothing was begun");
    let object = cli.run(&["run", "no.toml", "--json"]).exits(2).objects().remove(0);
    assert_eq!((&object["type"], &object["code"]), (&"error".into(), &"E0005".into()));
}

#[test]
fn an_id_belongs_to_one_run_of_one_saga() {
    let cli = Cli::new();
    let refused = refused_step();
    cli.write("one.toml", &format!("name = \"one\"\n{refused}"));
    cli.write("two.toml", &format!("name = \"two\"\n{refused}"));
    cli.run(&["run", "one.toml", "--id", "x", "--input", "1"])
        .exits(1)
        .says("HttpConnect");
    cli.run(&["run", "two.toml", "--id", "x"])
        .exits(2)
        .says("x is a run of \"one\", not of \"two\"")
        .says("another --id");
    cli.run(&["run", "one.toml", "--id", "x", "--input", "2"])
        .exits(1)
        .says("keeps the input that it was started with: 1");
    cli.run(&["show", "y"])
        .exits(2)
        .says("error[E0008]: workflow y not found");
    cli.run(&["signal", "y", "s"]).exits(2).says("error[E0008]");
    cli.run(&["signal", "x", "s", "{"])
        .exits(2)
        .says("the signal's data is not JSON");
}

#[test]
fn a_data_directory_that_cannot_be_used_is_said_so_and_left_alone() {
    let cli = Cli::new();
    let refused = refused_step();
    cli.write("one.toml", &format!("name = \"one\"\n{refused}"));
    cli.write("file", "not a directory");
    cli.run(&["run", "one.toml", "--data", "file"])
        .exits(4)
        .says("error[E0021]")
        .says("it is a file; choose a directory");
    cli.run(&["run", "one.toml", "--data", "file/sub"])
        .exits(4)
        .says("error[E0021]");
    cli.run(&["list"])
        .exits(4)
        .says("error[E0021]")
        .says("it does not exist");
    assert!(!cli.path("amends-data").exists(), "looking makes nothing");
    cli.run(&["list", "--data", "."])
        .exits(4)
        .says("it is not a data directory of amends");
    assert!(!cli.path("db").exists(), "looking makes nothing");

    cli.run(&["run", "one.toml", "--id", "x"]).exits(1);
    let holder = Offline::open(cli.path("amends-data")).unwrap();
    for command in [
        &["run", "one.toml", "--id", "x"][..],
        &["show", "x"],
        &["verify"],
        &["cancel", "x"],
    ] {
        cli.run(command)
            .exits(4)
            .says("error[E0020]")
            .says("is in use by another process");
    }
    drop(holder);
    cli.run(&["show", "x"]).exits(0);
}

#[test]
fn a_damaged_data_directory_is_an_error_with_a_place_and_never_a_panic() {
    let cli = Cli::new();
    let refused = refused_step();
    cli.write("one.toml", &format!("name = \"one\"\n{refused}"));
    cli.run(&["run", "one.toml", "--id", "x"]).exits(1);
    let database = cli.path("amends-data").join("db");
    let whole = std::fs::read(&database).unwrap();
    let mut noticed = 0;
    for at in (0..whole.len()).step_by((whole.len() / 12).max(1)) {
        let mut damaged = whole.clone();
        for byte in damaged.iter_mut().skip(at).take(whole.len() / 12) {
            *byte ^= 0xff;
        }
        std::fs::write(&database, &damaged).unwrap();
        let ended = cli.run(&["verify"]);
        match ended.code {
            0 => ended.says("all well: 1 run"),
            _ => {
                noticed += 1;
                ended.exits(4).says("error[E002")
            }
        };
    }
    assert!(noticed > 0, "no damage was where anything is stored");
    std::fs::write(&database, &whole).unwrap();
    cli.run(&["show", "x"]).exits(0);
}

#[test]
fn help_begins_with_what_works() {
    let cli = Cli::new();
    cli.run(&["--help"])
        .exits(0)
        .says("Start here:  amends demo")
        .says("3 stuck");
    cli.run(&["--version"]).exits(0).says("amends ");
    for (command, example) in [
        ("run", "amends run sagas/place-order.toml"),
        ("check", "amends check sagas/"),
        ("list", "amends list --data DIR"),
        ("show", "amends show order-42"),
        ("history", "amends history order-42"),
        ("verify", "amends verify --data DIR"),
        ("signal", "amends signal order-42 paid"),
        ("cancel", "amends cancel order-42"),
        ("terminate", "amends terminate order-42"),
        ("demo", "amends demo"),
        ("participants", "amends participants"),
    ] {
        let ended = cli.run(&[command, "--help"]).exits(0);
        let first = ended.out.lines().next().unwrap();
        assert!(first.contains(example), "{first}");
    }
}
